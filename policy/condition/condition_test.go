package condition_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/coatcheck-dev/coatcheck/policy/condition"
)

var words = map[string][]string{"tier": {"standard", "sensitive", "critical", ""}, "door": {"mcp", "rest", "egress"}}

func compiler(tb testing.TB) *condition.Compiler {
	tb.Helper()
	c, err := condition.NewCompiler(words)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func compile(tb testing.TB, text string) *condition.Expr {
	tb.Helper()
	e, bad := compiler(tb).Compile(text)
	if bad != nil {
		tb.Fatalf("%s: %d:%d: %v", text, bad.Line, bad.Column, bad)
	}
	return e
}

func facts() *condition.Facts {
	return &condition.Facts{
		Now: time.Date(2026, 3, 29, 0, 30, 15, 123_000_000, time.UTC), Agent: "claude-1", Door: "mcp", Path: "production/openai/key", Client: "cursor/1.2",
		IP: "10.1.2.3", Secret: &condition.Secret{Tier: "critical", Tags: map[string]string{"team": "pay", "n": "7"}},
	}
}

// expressions use every function and operator, all ways to write a literal, and
// errors on either side of && and ||. The value with [facts] stands behind.
var expressions = []struct{ text, value string }{
	{`agent == "claude-1"`, "true"},
	{`agent != 'claude-1'`, "false"},
	{`agent.startsWith("claude-") && path.endsWith("/key") && client.contains("or/")`, "true"},
	{`path.matches("^production/[a-z]+/key$")`, "true"},
	{`matches(path, "openai")`, "true"},
	{`agent.matches(r"\d$")`, "true"},
	{`size(path) == 21 && path.size() > 20 && size(tags) == 2 && size([1, 2]) == 2`, "true"},
	{`tier == "critical" ? door == "mcp" : agent == "x"`, "true"},
	{`tier in ["standard", "sensitive"]`, "false"},
	{`"team" in tags && tags["team"] == "pay" && tags.team == "pay"`, "true"},
	{`has(tags.team) && !has(tags.other)`, "true"},
	{`tags.other == "x"`, "error"},
	{`tags.other == "x" || agent == "claude-1"`, "true"},
	{`agent == "claude-1" || tags.other == "x"`, "true"},
	{`agent == "x" || tags.other == "x"`, "error"},
	{`tags.other == "x" && agent == "x"`, "false"},
	{`agent == "x" && tags.other == "x"`, "false"},
	{`agent == "claude-1" && tags.other == "x"`, "error"},
	{`!(tags.other == "x")`, "error"},
	{`int(tags.n) + 1 == 8 && int(tags.n) % 4 == 3 && int(tags.n) * 2 - 1 == 13 && -int(tags.n) < 0 && int(tags.n) / 2 == 3`, "true"},
	{`int(tags.team) == 1`, "error"},
	{`int(tags.n) / (int(tags.n) - 7) == 1`, "error"},
	{`9223372036854775807 + int(tags.n) > 0`, "error"},
	{`now > timestamp("2026-03-29T00:30:15Z") && now < timestamp("2026-03-29T00:30:15.2+00:00")`, "true"},
	{`now - timestamp("2026-03-28T00:30:15Z") >= duration("24h")`, "true"},
	{`now + duration("1h") <= timestamp("2026-03-29T01:30:15Z")`, "false"},
	{`timestamp(tags.team) < now`, "error"},
	{`now.getFullYear() == 2026 && now.getMonth() == 2 && now.getDate() == 29 && now.getDayOfMonth() == 28 && now.getDayOfYear() == 87`, "true"},
	{`now.getDayOfWeek() == 0 && now.getHours() == 0 && now.getMinutes() == 30 && now.getSeconds() == 15 && now.getMilliseconds() == 123`, "true"},
	{`now.getHours("Europe/Berlin") == 1 && (now + duration("1h")).getHours("Europe/Berlin") == 3`, "true"}, // summer time starts
	{`now.getDate("America/Los_Angeles") == 28 && now.getDayOfWeek("America/Los_Angeles") == 6 && now.getHours("America/Los_Angeles") == 17`, "true"},
	{`now.getHours("+05:30") == 6 && now.getHours("-08:00") == 16 && now.getHours("UTC") == 0`, "true"},
	{`now.getMinutes("Asia/Kathmandu") == 15 && now.getFullYear("Asia/Tokyo") == 2026 && now.getMonth("Asia/Tokyo") == 2 && now.getDayOfMonth("Asia/Tokyo") == 28`, "true"},
	{`now.getDayOfYear("Asia/Tokyo") == 87 && now.getSeconds("Asia/Tokyo") == 15 && now.getMilliseconds("Asia/Tokyo") == 123`, "true"},
	{`agent + "/" + door == "claude-1/mcp"`, "true"},
	{`agent < "d" && agent <= "claude-1" && agent > "c" && agent >= "claude-1"`, "true"},
	{`{"claude-1": 3}[agent] == 3`, "true"},
	{`{"claude-2": 3}[agent] == 3`, "error"},
	{`["a", "b"][0] == "a" && [["x"]][0][0] == "x"`, "true"},
	{`["a"][int(tags.n)] == "a"`, "error"},
	{"agent == \"\"\"claude-1\"\"\" // why\n && true", "true"},
	{`agent == "\x63laude\u002d\061"`, "true"},
	{`"日本".size() == 2 && tags["team"] != "日本"`, "true"},
	{`0x10 == 16 && 1e3 == 1000.0 && 2u == 2u && null == null && b"a" == b"a"`, "true"},
	{`[1, "a", now][1] == "a"`, "true"},
	{`size(tags) < 10u`, "false"}, // an error of types, in both
	{`(agent == "a" || agent == "claude-1") && !(door == "rest") && !!true`, "true"},
}

// The value of an expression is what cel-go's own package says, with its other
// parser, its whole library and its own time zones.
func TestLikeCEL(t *testing.T) {
	env, err := cel.NewEnv(
		cel.Variable("now", cel.TimestampType), cel.Variable("agent", cel.StringType), cel.Variable("door", cel.StringType), cel.Variable("path", cel.StringType),
		cel.Variable("tier", cel.StringType), cel.Variable("tags", cel.MapType(cel.StringType, cel.StringType)), cel.Variable("client", cel.StringType), cel.Variable("ip", cel.StringType),
	)
	if err != nil {
		t.Fatal(err)
	}
	f := facts()
	vars := map[string]any{"now": f.Now, "agent": f.Agent, "door": f.Door, "path": f.Path, "tier": f.Secret.Tier, "tags": f.Secret.Tags, "client": f.Client, "ip": f.IP}
	for _, x := range expressions {
		t.Run(x.text, func(t *testing.T) {
			expr, bad := compiler(t).Compile(x.text)
			ast, issues := env.Compile(x.text)
			if (bad != nil) != (issues.Err() != nil) {
				t.Fatalf("ours: %v, theirs: %v", bad, issues.Err())
			}
			if bad != nil {
				return
			}
			program, err := env.Program(ast)
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := program.Eval(vars)
			theirs := "error"
			if err == nil {
				theirs = fmt.Sprint(out.Value())
			}
			holds, err := expr.Holds(f)
			ours := fmt.Sprint(holds)
			if err != nil {
				ours = "error"
			}
			if ours != theirs || ours != x.value {
				t.Errorf("ours %s, theirs %s, want %s", ours, theirs, x.value)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		expr, ip, value string
	}{
		{`cidr("10.0.0.0/8").containsIP(ip)`, "10.255.255.255", "true"},
		{`cidr("10.0.0.0/8").containsIP(ip)`, "11.0.0.0", "false"},
		{`cidr("10.0.0.0/8").containsIP(ip)`, "::ffff:10.0.0.1", "true"},
		{`cidr("10.0.0.0/8").containsIP(ip)`, "", "false"},
		{`!cidr("10.0.0.0/8").containsIP(ip)`, "", "true"},
		{`cidr("10.0.0.0/8").containsIP(ip)`, "localhost", "error"},
		{`cidr("10.0.0.0/8").containsIP(ip)`, "10.0.0.1:443", "error"},
		{`cidr("fe80::/10").containsIP(ip)`, "fe80::1%eth0", "true"},
		{`cidr("::/0").containsIP(ip)`, "10.0.0.1", "false"},
	} {
		t.Run(c.expr+" "+c.ip, func(t *testing.T) {
			f := facts()
			f.IP = c.ip
			holds, err := compile(t, c.expr).Holds(f)
			if got := fmt.Sprint(holds); err == nil && got != c.value || err != nil && c.value != "error" {
				t.Errorf("%s, %v, want %s", got, err, c.value)
			}
		})
	}
}

// Facts that are not known are errors, and none is true for one that is.
func TestUnknownFacts(t *testing.T) {
	for text, unknown := range map[string]bool{
		`now > timestamp("2000-01-01T00:00:00Z")`: true, `tier == ""`: true, `size(tags) == 0`: true, `tags == {}`: true,
		`agent == ""`: false, `door.size() == 0`: false, `path == ""`: false, `client == ""`: false, `ip == ""`: false,
	} {
		holds, err := compile(t, text).Holds(&condition.Facts{})
		if unknown && !errors.Is(err, condition.ErrUndecided) || !unknown && (err != nil || !holds) {
			t.Errorf("%s: %v, %v", text, holds, err)
		}
	}
	none := &condition.Facts{Secret: &condition.Secret{}}
	if holds, err := compile(t, `tier == "" && size(tags) == 0`).Holds(none); err != nil || !holds {
		t.Errorf("no secret: %v, %v", holds, err)
	}
}

func TestUses(t *testing.T) {
	e := compile(t, `now.getHours() > 8 && [{"a": tags.team}][0]["a"] == agent`)
	for name, want := range map[string]bool{"now": true, "tags": true, "agent": true, "tier": false, "client": false, "team": false} {
		if e.Uses(name) != want {
			t.Error(name)
		}
	}
	if !e.NeedsSecret() || compile(t, `agent == "tier"`).NeedsSecret() || !compile(t, `has(tags.x)`).NeedsSecret() {
		t.Error("NeedsSecret")
	}
}

func TestConstant(t *testing.T) {
	for text, want := range map[string]string{
		"true": "true", "1 > 2": "false", `agent == "x" || true`: "true", `tags.x == "y" && false`: "false",
		`agent == "x"`: "", `true ? agent == "x" : false`: "", `true ? false : agent == "x"`: "false", `now == now`: "",
	} {
		value, constant := compile(t, text).Constant()
		if got := fmt.Sprint(value); constant && got != want || !constant && want != "" {
			t.Errorf("%s: %v %v", text, value, constant)
		}
	}
}

// An evaluation that costs too much ends: facts may be larger than they should.
func TestCostLimit(t *testing.T) {
	e := compile(t, `path.contains("x") || path.contains("y")`)
	f := facts()
	f.Path = strings.Repeat("a", 1<<20)
	if holds, err := e.Holds(f); holds || !errors.Is(err, condition.ErrUndecided) {
		t.Errorf("%v, %v", holds, err)
	}
	f.Path = "x"
	if holds, err := e.Holds(f); !holds || err != nil {
		t.Errorf("afterwards: %v, %v", holds, err)
	}
}

// The longest that an expression may take is a few milliseconds.
func TestWorstExpression(t *testing.T) {
	c := compiler(t)
	e, bad := c.Compile(`path.matches("^(` + strings.Repeat("a?", 320) + `)$")`)
	if bad != nil {
		t.Fatal(bad)
	}
	f := facts()
	f.Path = strings.Repeat("a", 511) + "b"
	start := time.Now()
	if holds, err := e.Holds(f); holds || err != nil {
		t.Errorf("%v, %v", holds, err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestCompileOnce(t *testing.T) {
	c := compiler(t)
	a, _ := c.Compile(`agent == "x"`)
	b, _ := c.Compile(`agent == "x"`)
	if a == nil || a != b || a.String() != `agent == "x"` {
		t.Errorf("%v %v", a, b)
	}
}

func TestMany(t *testing.T) {
	e := compile(t, `now.getHours("Europe/Berlin") == 1 && path.matches("^production/") && tags.team == "pay" && cidr("10.0.0.0/8").containsIP(ip)`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if holds, err := e.Holds(facts()); !holds || err != nil {
					t.Errorf("%v %v", holds, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// An error says nothing of what the expression holds: a key may have been
// pasted into it.
func TestErrorsQuoteNothing(t *testing.T) {
	const key = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"
	for _, text := range []string{
		`"` + key + `"`, `agent == "` + key, key, `agent == ` + key, `tags.` + strings.ReplaceAll(key, "-", "_"), `agent.matches("` + key + `[")`, `now.getHours("` + key + `") > 1`,
		`cidr("` + key + `").containsIP(ip)`, `timestamp("` + key + `") < now`, `duration("` + key + `") < duration("1h")`, `agent.` + strings.ReplaceAll(key, "-", "_") + `()`, `agent == 1 + "` + key + `"`,
	} {
		_, bad := compiler(t).Compile(text)
		if bad == nil || strings.Contains(bad.Error(), "4eC39") {
			t.Errorf("%s: %v", text, bad)
		}
		if bad != nil && (bad.Line != 1 || bad.Column < 1 || bad.Column > len(text)+1) {
			t.Errorf("%s: %d:%d", text, bad.Line, bad.Column)
		}
	}
}

// FuzzCompile: whatever the text, there is an expression that has a value or
// none, or an error inside the text; cel-go's own package agrees on what is CEL.
func FuzzCompile(f *testing.F) {
	for _, x := range expressions {
		f.Add(x.text)
	}
	for _, s := range []string{"", "(", "!", "a.b.c", "[", "{", "{1: 2}", "x{y: 1}", ".agent", "agent.", "agent[", "1 ? 2", "'", `"""`, "r'\\", "b'", "1u", "0x", "1.e", "--1", "in", "a in b in c", "//", "has(", "has(tags.a)", "tags[?'a']", "tags.?a", "`x`"} {
		f.Add(s)
	}
	c := compiler(f)
	f.Fuzz(func(t *testing.T, text string) {
		e, bad := c.Compile(text)
		if bad != nil {
			lines := strings.Split(text, "\n")
			if bad.Msg == "" || bad.Line < 1 || bad.Line > len(lines) || bad.Column < 1 || bad.Column > len([]rune(lines[bad.Line-1]))+1 {
				t.Fatalf("%+v", bad)
			}
			return
		}
		if len([]rune(text)) > condition.MaxLength {
			t.Fatal("too long")
		}
		first, err := e.Holds(facts())
		again, errAgain := e.Holds(facts())
		if first != again || !errors.Is(err, errAgain) || err != nil && first {
			t.Fatalf("%v %v, then %v %v", first, err, again, errAgain)
		}
		if value, constant := e.Constant(); constant && (err != nil || value != first) {
			t.Fatalf("constant %v, but %v %v", value, first, err)
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	c := compiler(b)
	for _, text := range []string{`agent == "x"`, `now.getHours("Europe/Berlin") >= 8`, `tags["team"] == "web"`, `cidr("10.0.0.0/8").containsIP(ip)`, `path.matches("^production/[a-z]+$")`} {
		e, bad := c.Compile(text)
		if bad != nil {
			b.Fatal(bad)
		}
		f := facts()
		b.Run(strings.Map(func(r rune) rune {
			if slices.Contains([]rune(` "/`), r) {
				return -1
			}
			return r
		}, text), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = e.Holds(f)
			}
		})
	}
}

func BenchmarkFirst(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, bad := compiler(b).Compile(`now.getHours("Europe/Berlin") >= 8 && agent.startsWith("claude-")`); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	c := compiler(b)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		if _, bad := c.Compile(fmt.Sprintf(`now.getHours("Europe/Berlin") >= %d && agent.startsWith("claude-")`, i)); bad != nil {
			b.Fatal(bad)
		}
	}
}
