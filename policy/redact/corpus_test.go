package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
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
	part := func(seed uint64, n int) string { return base64.RawURLEncoding.EncodeToString(random(seed, n)) }
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: random(1, 300)}))
	account, _ := json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": "example-1", "private_key_id": fmt.Sprintf("%x", random(2, 20)), "private_key": key,
		"client_email": "desk@example-1.example", "token_uri": "https://oauth2.example/token",
	}, "", "  ")
	return map[string]string{
		"token":           "sk-proj-Ab3Cd4Ef5Gh6",
		"JWT":             part(3, 27) + "." + part(4, 500) + "." + part(5, 256),
		"PEM key":         key,
		"service account": string(account),
		"password":        awkward,
		"unicode":         "Tür-鍵-ключ 42 😀 öffne",
		"binary":          string(random(6, 24)),
	}
}

// leaks reports how a text that was scrubbed still shows more than what stood
// around the value. It knows nothing of how the scrubber works: it counts what
// is left.
func leaks(clean []byte, around, unit int) bool {
	left := len(bytes.ReplaceAll(clean, []byte(mask), nil))
	return !bytes.Contains(clean, []byte(mask)) || left > around+4+16*unit
}

// corpusCase scrubs a value that stands between two texts and is written in an
// encoding; the count is of cases, one or none.
func corpusCase(t *testing.T, s *redact.Scrubber, shape, value, before, after string, e vaulttest.Encoding) int {
	t.Helper()
	text, ok := e.Write([]byte(before + value + after))
	if !ok || len(text) > 64*len(value) {
		return 0
	}
	around := 0 // with the padding that there may be
	for n := range 5 {
		text, _ := e.Write([]byte(before + "~~~~"[:n] + after))
		around = max(around, len(text))
	}
	unit, _ := e.Write([]byte("~~~~~~~~"))
	clean, _ := s.Scrub(who, text)
	if leaks(clean, around, len(unit)/8) {
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
		cases := 200
		if *everyCase {
			cases = 20000
		}
		for range cases {
			total += corpusCase(t, s, shape, value, befores[random.IntN(len(befores))], afters[random.IntN(len(afters))], pick().Then(pick()).Then(pick()))
		}
	}
	t.Logf("%d cases", total)
}
