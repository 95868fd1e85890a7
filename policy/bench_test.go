package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const many = 10_000

// large is a policy of n rules, each with a literal prefix of its own, or all
// with the same one.
func large(tb testing.TB, n int, rule string) *policy.Policy {
	tb.Helper()
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		fmt.Fprintf(&b, "  - {name: \"r%05d\", agents: [\"*\"], %s}\n", i, strings.ReplaceAll(rule, "#", fmt.Sprintf("%05d", i)))
	}
	p, err := policy.Parse("large", []byte(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

var rulesOf = []struct{ name, rule string }{
	{"own prefix", `paths: ["production/svc#/*"], allow: [list, use], limits: {uses: 5}`},
	{"one prefix", `paths: ["production/*"], allow: [list], limits: {uses: 5}`},
	{"own host", `paths: ["production/*"], allow: [use], to: [{host: "h#.example.com"}]`},
	{"nested prefix", `paths: ["p*", "pr*", "pro*", "prod*", "production/*", "production/svc#/*"], allow: [list]`},
	{"denied", `paths: ["production/svc#/*"], deny: [use]`},
}

func request(path vault.Path) policy.Request {
	return policy.Request{
		Subject: policy.Subject{Agent: "claude-1", Stdio: true, Door: policy.DoorMCP}, Right: policy.Use, Path: path,
		Target: &vault.Target{Scheme: "https", Host: "a.b.c.example.com", Port: 443, Method: "POST", Path: "/v1/chat"},
	}
}

var deniedPaths = []vault.Path{"production/svc04711", "production/svc99999/key", "staging/svc00001/key", "production/svc00042x/key", "production/stripe/key"}

func BenchmarkDecideDenied(b *testing.B) {
	for _, c := range rulesOf {
		for _, n := range []int{10, many} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(c.name, " ", "-"), n), func(b *testing.B) {
				p := large(b, n, c.rule)
				q := request("a")
				p.Decide(q) // compiles
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					q.Path = deniedPaths[i%len(deniedPaths)]
					if p.Decide(q).Allowed {
						b.Fatal("allowed")
					}
					i++
				}
			})
		}
	}
}

// With conditions: one rule for the path, or a hundred at the same prefix.
func BenchmarkDecideWhen(b *testing.B) {
	for _, c := range []struct {
		name, rule string
		n          int
	}{
		{"own-prefix", `paths: ["production/svc#/*"], allow: [use], when: 'now.getHours("Europe/Berlin") >= 8 && tags["team"] == "web"'`, many},
		{"one-prefix", `paths: ["production/*"], allow: [use], when: 'agent == "claude-#"'`, 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := large(b, c.n, c.rule)
			q := request("production/svc00042/key")
			q.Now, q.Secret = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), &policy.Secret{Tags: map[string]string{"team": "web"}}
			p.Decide(q) // compiles
			b.ReportAllocs()
			for b.Loop() {
				_ = p.Decide(q)
			}
		})
	}
}

// Paths all over the tree, so that its memory is not in the cache.
func BenchmarkDecideSpread(b *testing.B) {
	for _, right := range []policy.Right{policy.Use, policy.Reveal} {
		b.Run(string(right), func(b *testing.B) {
			p := large(b, many, rulesOf[0].rule)
			paths := make([]vault.Path, many)
			for i := range paths {
				paths[i] = vault.Path(fmt.Sprintf("production/svc%05d/key", i*7919%many))
			}
			q := request("a")
			q.Right = right
			p.Decide(q) // compiles
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				q.Path = paths[i%many]
				_ = p.Decide(q)
				i++
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	p := large(b, many, rulesOf[0].rule)
	b.ReportAllocs()
	for b.Loop() {
		p.Fresh().Decide(request("a"))
	}
}

func BenchmarkParse(b *testing.B) {
	text := large(b, many, rulesOf[0].rule).Format()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Parse("p", text); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDecideAllocatesNothingWhenDenied(t *testing.T) {
	for _, c := range rulesOf {
		t.Run(c.name, func(t *testing.T) {
			p := large(t, 2000, c.rule)
			for _, path := range append(deniedPaths, "production/svc00007/key") {
				q := request(path)
				q.Right = policy.Reveal
				if c.name != "own prefix" || path != "production/svc00007/key" {
					q.Right = policy.Use
				}
				if p.Decide(q).Allowed { // also compiles
					t.Fatalf("%s is allowed", path)
				}
				if n := testing.AllocsPerRun(50, func() { p.Decide(q) }); n != 0 {
					t.Errorf("%s: %v allocations", path, n)
				}
			}
		})
	}
}
