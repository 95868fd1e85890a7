package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

func randomValues(n, length int) []string {
	values := make([]string, n)
	for i := range values {
		var v strings.Builder
		for x := uint32(i + 1); v.Len() < length; {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			v.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[x>>8&63])
		}
		values[i] = v.String()
	}
	return values
}

func ordinaryJSON(size int, content string) []byte {
	var text strings.Builder
	for i := 0; text.Len() < size; i++ {
		fmt.Fprintf(&text, `{"id":"msg_%08x","object":"chat.completion","created":%d,"choices":[{"index":0,"message":{"role":"assistant","content":"%s"}}]},`,
			i*7919, 1700000000+i, content)
	}
	return []byte(text.String())
}

// BenchmarkScrub is a body of 1 MiB against 1,000 values of 64 bytes.
func BenchmarkScrub(b *testing.B) {
	values := randomValues(1000, 64)
	beginnings := ""
	for _, v := range values {
		beginnings += v[:40]
	}
	s := keeping(b, values...)
	for name, body := range map[string][]byte{
		"ordinary":     ordinaryJSON(256<<10, "The weather in Paris is mild today, with a light wind."),
		"some-escapes": ordinaryJSON(256<<10, `The weather in Paris is \"mild\" today,\nwith a light wind.`),
		"every-family": ordinaryJSON(256<<10, `\u0041 &amp; 100%25 of it`),
		"base64":       []byte(words(256<<10, base64.StdEncoding.EncodeToString)),
		"hex":          []byte(words(256<<10, hex.EncodeToString)),
		"short-base64": []byte(words(256<<10, func(b []byte) string { return strings.Join(chunks(base64.StdEncoding.EncodeToString(b), 24), " ") })),
		"base64-thrice": []byte(words(256<<10, func(b []byte) string {
			for range 3 {
				b = []byte(base64.StdEncoding.EncodeToString(b))
			}
			return string(b)
		})),
		"all-escaped":   []byte(strings.Repeat("%41", 256<<10/3)),
		"near-misses":   []byte(strings.Repeat(beginnings, 256<<10/len(beginnings))),
		"all-one-value": []byte(strings.Repeat(values[0], 1<<12)),
	} {
		b.Run(name, func(b *testing.B) {
			best := time.Hour
			for b.Loop() {
				start := time.Now()
				s.Scrub(who, body)
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(len(body))/best.Seconds()/1e6, "best-MB/s")
		})
	}
}

func words(size int, encode func([]byte) string) string {
	var b strings.Builder
	seed := uint64(1)
	for b.Len() < size {
		raw := make([]byte, 300)
		for i := range raw {
			seed = seed*6364136223846793005 + 1442695040888963407
			raw[i] = byte(seed >> 56)
		}
		b.WriteString(encode(raw) + "\n\n")
	}
	return b.String()
}

func chunks(s string, n int) (out []string) {
	for len(s) > n {
		out = append(out, s[:n])
		s = s[n:]
	}
	return append(out, s)
}
