package redact_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

var everyCase = flag.Bool("corpus.all", false, "the whole leak corpus and not a part of it")

// random returns bytes that are the same in every run.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(out)
	return out
}

// shapes are the kinds of secrets of the corpus.
func shapes() map[string]string {
	out := map[string]string{}
	for _, s := range vaulttest.Shapes() {
		out[s.Name] = s.Value
	}
	return out
}

// leaks reports how a text that was scrubbed still shows more than what stood
// around the value. It knows nothing of how the scrubber works: it counts what
// is left.
func leaks(clean []byte, most int) bool {
	left := len(bytes.ReplaceAll(clean, []byte(mask), nil))
	return !bytes.Contains(clean, []byte(mask)) || left > most
}

// corpusCase scrubs a value that stands between two texts and is written in an
// encoding; the count is of cases, one or none.
func corpusCase(t *testing.T, s *redact.Scrubber, shape, value, before, after string, e vaulttest.Encoding) int {
	t.Helper()
	text, most, ok := e.Around(before, value, after)
	if !ok || len(text) > 64*len(value) {
		return 0
	}
	clean, _ := s.Scrub(who, text)
	if leaks(clean, most) {
		t.Errorf("%s, %s, between %q and %q: %d of %d bytes are left", shape, e.Name, before, after, len(clean), len(text))
	}
	return 1
}

// TestCorpus: no first-tier encoding of a value, of any shape and wherever it
// stands, nor an encoding of an encoding of an encoding of it, is passed on.
func TestCorpus(t *testing.T) {
	encodings := vaulttest.Encodings()
	befores := []string{"", "x", "id", "key=", `{"a":"`, "user:", "Bearer ", "~~~~~~~"}
	afters := []string{"", "z", `"}`, "&b=1", "\n"}
	total := 0
	for shape, value := range shapes() {
		s := keeping(t, value)
		random := rand.New(rand.NewPCG(uint64(len(value)), 1))
		for _, e := range encodings {
			for _, before := range befores {
				for _, after := range afters {
					total += corpusCase(t, s, shape, value, before, after, e)
				}
			}
		}
		pick := func() vaulttest.Encoding { return encodings[random.IntN(len(encodings))] }
		short := len(value) < 100
		for i, e := range encodings {
			for k, f := range encodings {
				if !short && !*everyCase && (i+k)%7 != 0 {
					continue
				}
				total += corpusCase(t, s, shape, value, befores[(i+k)%len(befores)], afters[(i*k)%len(afters)], e.Then(f))
			}
		}
		cases := 500 // the long shapes are slow
		if short {
			cases = 6000
		}
		if *everyCase {
			cases = 20000
		}
		for range cases {
			total += corpusCase(t, s, shape, value, befores[random.IntN(len(befores))], afters[random.IntN(len(afters))], pick().Then(pick()).Then(pick()))
		}
	}
	t.Logf("%d cases", total)
	if total < 45_000 { // with those over the doors (transport/cli) more than 100,000
		t.Error("fewer cases than there were")
	}
}
