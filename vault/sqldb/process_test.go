package sqldb_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var (
	processes = flag.Int("processes", 8, "processes that write one database at once")
	writes    = flag.Int("writes", 200/scale, "writes of each of them")
)

// order is what a process of these tests is told to do, as JSON in its environment.
type order struct {
	Path    string
	Name    int // of the process; part of what it writes
	Writers int // goroutines
	Writes  int // of all of them
	Hold    bool
	Bulk    int // rows of one write
}

const orderVariable = "COATCHECK_TEST_ORDER"

// took is what a process reports: how long each acknowledged write took.
type took []time.Duration

// TestProcess is no test of its own: it is the body of the other processes.
// With Hold it begins one write and says so on standard output, and ends it when
// its input ends; with Bulk it says so after one that is done. Else it says that it is ready, starts when its input ends, and
// reports on standard output.
func TestProcess(t *testing.T) {
	text := os.Getenv(orderVariable)
	if text == "" {
		return
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), o.Path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	wait := func() error {
		_, err := fmt.Println("ready")
		return errors.Join(err, drain(os.Stdin))
	}
	switch {
	case o.Bulk > 0:
		if err := errors.Join(db.Update(t.Context(), bulk(o.Bulk)), wait()); err != nil {
			t.Fatal(err)
		}
	case o.Hold:
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { return errors.Join(insert(o.Name)(tx), wait()) }); err != nil {
			t.Fatal(err)
		}
	default:
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		report, err := json.Marshal(work(t, db, o))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(report))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func work(t *testing.T, db *sqldb.DB, o order) took {
	t.Helper()
	all := make(took, o.Writes)
	var wg sync.WaitGroup
	for w := range o.Writers {
		wg.Go(func() {
			for i := w; i < o.Writes; i += o.Writers {
				began := time.Now()
				if err := db.Update(t.Context(), insert(o.Name*1_000_000+i)); err != nil {
					t.Error(err)
				}
				all[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	return all
}

// process is a running one.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startProcess returns once it is ready, or holds its write.
func startProcess(tb testing.TB, o order) process {
	tb.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	p := process{cmd: exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^TestProcess$")}
	p.cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		tb.Fatalf("%q %v", line, err)
	}
	return p
}

// end lets it end and returns what it said.
func (p process) end(tb testing.TB) string {
	tb.Helper()
	_ = p.in.Close()
	line, _ := p.out.ReadString('\n')
	if err := errors.Join(drain(p.out), p.cmd.Wait()); err != nil {
		tb.Fatal(err)
	}
	return line
}

// together runs count processes that write at the same time and returns the
// times of all their writes, sorted.
func together(tb testing.TB, path string, count, writers, writes int) took {
	tb.Helper()
	running := make([]process, count)
	for i := range running {
		running[i] = startProcess(tb, order{Path: path, Name: i, Writers: writers, Writes: writes})
	}
	for _, p := range running {
		_ = p.in.Close()
	}
	var all took
	for _, p := range running {
		var one took
		if err := json.Unmarshal([]byte(p.end(tb)), &one); err != nil {
			tb.Fatal(err)
		}
		all = append(all, one...)
	}
	slices.Sort(all)
	return all
}

// at is the time that a share of the writes did not exceed.
func (all took) at(share float64) time.Duration { return all[int(share*float64(len(all)-1))] }

func (all took) String() string {
	return fmt.Sprintf("%d writes: p50 %v, p99 %v, p99.9 %v, max %v", len(all), all.at(0.5), all.at(0.99), all.at(0.999), all[len(all)-1])
}

// TestProcessesTakeTurns: every write of every process is acknowledged and
// there, and none waits long. The bound is generous: it is SQLite's own wait
// that it must tell from ours, on a machine that has other things to do.
func TestProcessesTakeTurns(t *testing.T) {
	for name, writers := range map[string]int{"one writer each": 1, "sixteen writers each": 16} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(privateDir(t), "x.db")
			db := openAt(t, path)
			all := together(t, path, *processes, writers, *writes)
			t.Log(all)
			if got, want := count(t, db), *processes**writes; got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
			if got := all.at(0.999); got > 2*time.Second {
				t.Errorf("p99.9 is %v", got)
			}
		})
	}
}

// TestKilledHolder: a process that dies with the turn hands it on.
func TestKilledHolder(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db, err := sqldb.Open(t.Context(), path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i := range 5 {
		p := startProcess(t, order{Path: path, Name: 100 + i, Hold: true})
		done := make(chan error)
		go func() { done <- db.Update(t.Context(), insert(i)) }()
		awaitQueue(db, 1)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if got := count(t, db); got != 5 {
		t.Errorf("%d rows, want 5", got)
	}
}
