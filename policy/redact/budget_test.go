package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/coregx/ahocorasick"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
)

var enforce = flag.Bool("budgets.enforce", false, "fail when a bound is missed")

// figures is one line of the table: the same text through each, MB/s.
type figures struct {
	what                      string
	replacer, automaton, ours float64
	bound                     float64
}

// BenchmarkBudgets prints the budgets of the design for this package beside
// strings.NewReplacer and an Aho-Corasick library, which look for the raw
// values only. Each figure is the fastest of many short rounds that take turns:
// what else the machine does cannot make one faster. It is a benchmark only so
// that a plain go test does not run it.
func BenchmarkBudgets(b *testing.B) {
	values := make([]string, 1000)
	for i := range values {
		values[i] = providerKey(i)
	}
	s, added := keepAll(b, values)
	texts := []figures{
		{what: "ordinary JSON", bound: 150},
		{what: "JSON with escapes"},
		{what: "every word is base64", bound: 30},
		{what: "every word is hexadecimal", bound: 30},
		{what: "every letter of every word is escaped", bound: 30},
		{what: "a mix of these", bound: 30},
	}
	missed := false
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprint(out, "\nredaction, 1,000 values up to 56 bytes, MB/s\tNewReplacer, raw\tAho-Corasick, raw\tcoatcheck\tbound\t\n")
	for i, text := range budgetTexts(32 << 10) {
		line := measure(b, texts[i], s, values, text)
		verdict := "held"
		if line.ours < line.bound {
			verdict, missed = "MISSED", true
		}
		_, _ = fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.0f\t≥ %g\t%s\n", line.what, line.replacer, line.automaton, line.ours, line.bound, verdict)
	}
	bound := func(what string, got, most float64, unit string) {
		verdict := "held"
		if got > most {
			verdict, missed = "MISSED", true
		}
		_, _ = fmt.Fprintf(out, "%s\t\t\t%.3f %s\t≤ %g\t%s\n", what, got, unit, most, verdict)
	}
	bound("memory of the values", float64(s.Footprint())/(1<<20), 8, "MiB")
	long := make([]string, 1000)
	for i := range long {
		long[i] = base64.RawURLEncoding.EncodeToString(random(uint64(i), 768))
	}
	wide, addedLong := keepAll(b, long)
	bound("memory of 1,000 values of 1 KB", float64(wide.Footprint())/(1<<20), 64, "MiB")
	bound("latency added to 64 KiB of ordinary JSON", latency(s, budgetTexts(64 << 10)[0]), 2, "ms")
	bound("one more value beside 1,000, median", added, 1, "ms")
	bound("one more value of 1 KB beside 1,000, median", addedLong, 1, "ms")
	_ = out.Flush()
	if missed && *enforce {
		b.Error("a bound is missed")
	}
}

// keepAll returns a scrubber with the values and the median time in ms that
// the last hundred took to add.
func keepAll(tb testing.TB, values []string) (*redact.Scrubber, float64) {
	tb.Helper()
	s := redact.New(time.Now)
	var took []float64
	for i, v := range values {
		start := time.Now()
		if !s.Keep(who, vault.Path(fmt.Sprint("v/", i)), value(v), time.Now().Add(time.Hour)) {
			tb.Fatal("not maskable")
		}
		took = append(took, float64(time.Since(start))/1e6)
	}
	return s, median(took[len(took)-100:])
}

func median(list []float64) float64 {
	best := 0.0
	for _, v := range list {
		below := 0
		for _, w := range list {
			if w < v {
				below++
			}
		}
		if below <= len(list)/2 {
			best = max(best, v)
		}
	}
	return best
}

func latency(s *redact.Scrubber, text []byte) float64 {
	best := time.Hour
	for range 200 {
		start := time.Now()
		s.Scrub(who, text)
		best = min(best, time.Since(start))
	}
	return float64(best) / 1e6
}

func measure(tb testing.TB, line figures, s *redact.Scrubber, values []string, text []byte) figures {
	tb.Helper()
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, mask)
	}
	replacer := strings.NewReplacer(pairs...)
	automaton, err := ahocorasick.NewBuilder().AddStrings(values).Build()
	if err != nil {
		tb.Fatal(err)
	}
	plain := string(text)
	runs := []func(){
		func() { _, _ = replacer.WriteString(io.Discard, plain) },
		func() { automaton.FindAll(text, -1) },
		func() { s.Scrub(who, text) },
	}
	best := [3]time.Duration{time.Hour, time.Hour, time.Hour}
	runtime.GC()
	for range 200 {
		for i, run := range runs {
			start := time.Now()
			run()
			best[i] = min(best[i], time.Since(start))
		}
	}
	rate := func(d time.Duration) float64 { return float64(len(text)) / d.Seconds() / 1e6 }
	line.replacer, line.automaton, line.ours = rate(best[0]), rate(best[1]), rate(best[2])
	return line
}

func budgetTexts(size int) [][]byte {
	repeat := func(next func(i int) string) []byte {
		var text bytes.Buffer
		for i := 0; text.Len() < size; i++ {
			text.WriteString(next(i))
		}
		return text.Bytes()[:size]
	}
	message := func(content string) func(int) string {
		return func(i int) string {
			return fmt.Sprintf(`{"id":"msg_%08x","object":"chat.completion","created":%d,"choices":[{"index":0,"message":{"role":"assistant","content":"%s"}}]},`, i*7919, 1700000000+i, content)
		}
	}
	words := []func(int) string{
		func(i int) string { return base64.StdEncoding.EncodeToString(random(uint64(i), 40+i%200)) + " " },
		func(i int) string { return hex.EncodeToString(random(uint64(i), 40+i%200)) + " " },
		func(i int) string {
			word := providerKey(5000 + i%1000)
			format := [...]string{`\x%02x`, "%%%02X", "&#%d;"}[i%3]
			return each(word, format) + " "
		},
	}
	return [][]byte{
		repeat(message("The weather in Paris is mild today, with a light wind.")),
		repeat(message(`The weather in Paris is \"mild\" today,\nwith a light wind.`)),
		repeat(words[0]), repeat(words[1]), repeat(words[2]),
		repeat(func(i int) string { return words[i%3](i) }),
	}
}
