// Package bench_test measures coatcheck beside a bare mcp-go server with one
// typed tool, both as real binaries in one run, and prints the budgets of the
// design: figure, bound, ratio.
//
//	make bench
//	make bench BENCHFLAGS='-budgets.enforce -budgets.secrets=1000'
//
// The ratios are what counts: an absolute figure says as much about the machine
// as about the program. Rounds alternate between the two programs, and each
// figure is the median of its rounds, so that a slow second on the machine
// strikes both.
package bench_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	enforce = flag.Bool("budgets.enforce", false, "fail when a bound is missed")
	secrets = flag.Int("budgets.secrets", 1_000_000, "secrets in the vault at the cold start")
	events  = flag.Int("budgets.events", 500_000, "events in the record that is verified")
	rounds  = flag.Int("budgets.rounds", 9, "rounds of each program")
	calls   = flag.Int("budgets.calls", 2000, "calls in a round")
	starts  = flag.Int("budgets.starts", 25, "cold starts of each program")
)

// budget is one line of the table.
type budget struct {
	what           string
	bare, ours     string  // figures with their unit
	ratio, bound   float64 // bound 0: the line is there to compare with
	atLeast, fixed bool    // the bound is a floor; the bound is not a ratio
}

func (b budget) held() bool {
	if b.atLeast || b.bound == 0 {
		return b.ratio >= b.bound
	}
	return b.ratio <= b.bound
}

// BenchmarkBudgets prints the table. It is a benchmark only so that a plain go
// test does not run it.
func BenchmarkBudgets(b *testing.B) {
	dir := b.TempDir()
	bare := program{
		name: "bare",
		argv: []string{build(b, dir, "bare", "./testdata/bare")},
		tool: "get_secret", args: `{"path":"bench/key"}`,
	}
	ours := coatcheck(b, dir)

	var table []budget
	table = append(table, inFlight(b, dir, bare, ours)...)
	table = append(table, coldStart(b, bare, ours)...)
	table = append(table, decision(b), request(b))
	table = append(table, waits(b, ours))
	table = append(table, pages(b, dir, ours)...)
	table = append(table, network(b, dir, bare, ours)...)
	table = append(table, reading(b, dir, bare, ours)...)
	table = append(table, verify(b, dir, ours))
	show(os.Stdout, table)

	for _, line := range table {
		if !line.held() && *enforce {
			b.Errorf("missed: %s", line.what)
		}
	}
}

// inFlight measures calls over stdio, one and sixteen in flight, and beside them
// what the disk takes for a commit: bare and that together are the least that a
// durable answer can cost here.
func inFlight(b *testing.B, dir string, bare, ours program) []budget {
	b.Helper()
	size := logged(b, ours, filepath.Join(dir, "home"))
	on := openDisk(b, dir, size)
	defer on.close(b)
	both := [2]*client{}
	for i, p := range [2]program{bare, ours} {
		both[i], _ = start(b, p)
		defer both[i].stop()
		// Past the most live handles that a principal may have: the steady state.
		both[i].many(16, 2000)
	}
	var p50 [2][]time.Duration
	var durable []time.Duration
	var rate [2][]float64
	for round := range *rounds {
		durable = append(durable, on.commits(b, *calls/4))
		for i := range both {
			i = (i + round) % 2
			p50[i] = append(p50[i], both[i].one(*calls))
			rate[i] = append(rate[i], both[i].many(16, *calls))
		}
	}
	one := [2]time.Duration{median(p50[0]), median(p50[1])}
	many := [2]float64{median(rate[0]), median(rate[1])}
	least := one[0] + median(durable)
	return []budget{
		{
			what: "get_secret over stdio, 1 in flight, p50",
			bare: millis(one[0]), ours: millis(one[1]),
			ratio: float64(one[1]) / float64(one[0]), bound: 2.5,
		},
		{
			what: fmt.Sprintf("  the least here: bare and an overwrite + fsync of %d bytes (%s)", size, millis(median(durable))),
			bare: millis(one[0]), ours: millis(least),
			ratio: float64(least) / float64(one[0]),
		},
		{
			what: "get_secret over stdio, 16 in flight",
			bare: fmt.Sprintf("%.0f/s", many[0]), ours: fmt.Sprintf("%.0f/s", many[1]),
			ratio: many[1] / many[0], bound: 0.6, atLeast: true,
		},
	}
}

// coldStart measures from the making of the process to the answer to
// initialize, and the memory right after it.
func coldStart(b *testing.B, bare, ours program) []budget {
	b.Helper()
	both := [2]program{bare, ours}
	var took [2][]time.Duration
	var memory [2][]int64
	for round := range *starts {
		for i := range both {
			i = (i + round) % 2
			c, t := start(b, both[i])
			memory[i] = append(memory[i], c.resident())
			took[i] = append(took[i], t)
			c.stop()
		}
	}
	cold := [2]time.Duration{median(took[0]), median(took[1])}
	resident := [2]int64{median(memory[0]), median(memory[1])}
	return []budget{
		{
			what: fmt.Sprintf("cold start to initialize answered, %d secrets", *secrets),
			bare: millis(cold[0]), ours: millis(cold[1]),
			ratio: float64(cold[1]) / float64(cold[0]), bound: 1.6,
		},
		{
			what: "memory after that (MiB)",
			bare: mebi(resident[0]), ours: mebi(resident[1]),
			ratio: float64(resident[1]) / (1 << 20), bound: 30, fixed: true,
		},
	}
}

// network measures the doors that listen.
func network(b *testing.B, dir string, bare, ours program) []budget {
	b.Helper()
	keys := agents(b, ours, filepath.Join(dir, "home"), 5)
	ours.argv = []string{ours.argv[0], "serve", "--listen", "127.0.0.1:0"}
	bare.argv = []string{bare.argv[0], "serve"}
	left, right := serve(b, bare, nil), serve(b, ours, keys)
	defer left.stop(b)
	defer right.stop(b)
	return append(doors(b, left, right), idle(b, left, right)...)
}

func show(w io.Writer, table []budget) {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprint(out, "\nbudget\tbare mcp-go\tcoatcheck\tratio\tbound\t\n")
	for _, line := range table {
		sign, verdict, ratio := "≤", "held", fmt.Sprintf("%.2f", line.ratio)
		if line.atLeast {
			sign = "≥"
		}
		if line.fixed {
			ratio = "-"
		}
		if line.bound == 0 {
			_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t-\t\n", line.what, line.bare, line.ours, ratio)
			continue
		}
		if !line.held() {
			verdict = fmt.Sprintf("MISSED by %.0f %%", 100*max(line.ratio/line.bound-1, 1-line.ratio/line.bound))
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s %g\t%s\n", line.what, line.bare, line.ours, ratio, sign, line.bound, verdict)
	}
	_, _ = fmt.Fprintln(out)
	_ = out.Flush()
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}

func mebi(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// build compiles a package as it is released and returns the binary.
func build(tb testing.TB, dir, name, pkg string) string {
	tb.Helper()
	bin := filepath.Join(dir, name)
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return bin
}
