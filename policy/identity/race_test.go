package identity_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// spender spends a token, once for each call, until it is refused.
func spender(tb testing.TB, db *sqldb.DB, text string) func() error {
	tb.Helper()
	s := identity.New(rows)
	var who identity.Principal
	in(tb, db, func(tx *sqldb.Tx, s *identity.Store) {
		var err error
		who, err = s.ByCredential(tx, text, "", noon)
		want(tb, "by token", err, nil)
	})
	return func() error {
		return db.Update(tb.Context(), func(tx *sqldb.Tx) error { return s.SpendToken(tx, who, 1, noon) })
	}
}

// TestUsesAreCountedExactly spends one token from 32 goroutines and two databases
// on one file: there are as many successes as uses, never more.
func TestUsesAreCountedExactly(t *testing.T) {
	first, path := openAt(t)
	second := openFile(t, path)
	for _, uses := range []int{1, 2, 25} {
		text := counted(t, first, uses)
		spends := []func() error{spender(t, first, text), spender(t, second, text)}
		var wg sync.WaitGroup
		var spent, refused atomic.Int64
		for i := range 32 {
			wg.Go(func() {
				switch err := spends[i%2](); {
				case err == nil:
					spent.Add(1)
				case errors.Is(err, identity.ErrUnauthenticated):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if spent.Load() != int64(uses) || refused.Load() != int64(32-uses) {
			t.Errorf("%d uses: %d spent, %d refused", uses, spent.Load(), refused.Load())
		}
	}
}

// TestAUseThatIsUndoneIsNotCounted: the caller's transaction decides.
func TestAUseThatIsUndoneIsNotCounted(t *testing.T) {
	db := open(t)
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) { add(t, tx, s, "web", false) })
	text := counted(t, db, 1)
	undone(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		who, _ := s.ByCredential(tx, text, "", noon)
		want(t, "undone", s.SpendToken(tx, who, 1, noon), nil)
	})
	spend := spender(t, db, text)
	want(t, "spent", spend(), nil)
	want(t, "again", spend(), identity.ErrUnauthenticated)
}

// TestOneThatIsNotCounted is spent as often as one likes, and nothing is written.
func TestOneThatIsNotCounted(t *testing.T) {
	db := open(t)
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		text, token := issue(t, tx, s, plain(t))
		who, _ := s.ByCredential(tx, text, "", noon)
		byHand := identity.Principal{Kind: identity.ScopedToken, Name: "web", Token: token.ID} // not known to be uncounted
		for range 5 {
			want(t, "spend", s.SpendToken(tx, who, 1, noon), nil)
			want(t, "spend", s.SpendToken(tx, byHand, 1, noon), nil)
		}
		if got, err := s.Token(tx, token.ID); err != nil || got.Used != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		for _, other := range []identity.Principal{identity.OwnerCLI(), identity.LocalStdio(), {Kind: identity.Agent, Name: "web"}} {
			want(t, other.ID(), s.SpendToken(tx, other, 1, noon), nil)
		}
		byHand.Name = "other"
		want(t, "of another agent", s.SpendToken(tx, byHand, 1, noon), identity.ErrUnauthenticated)
		want(t, "of another agent", s.Alive(tx, byHand, noon), identity.ErrUnauthenticated)
	})
}

const orderVariable = "COATCHECK_TEST_ORDER"

// order is what another process of these tests is told to do, as JSON.
type order struct{ Path, Text string }

// TestProcess is no test of its own: it is the body of the other processes. It
// says that it is ready, starts when its input ends, spends until it is refused,
// and says how often it was not.
func TestProcess(t *testing.T) {
	text := os.Getenv(orderVariable)
	if text == "" {
		return
	}
	var o order
	want(t, "order", json.Unmarshal([]byte(text), &o), nil)
	spend := spender(t, openFile(t, o.Path), o.Text)
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var spent atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				err := spend()
				if err == nil {
					spent.Add(1)
					continue
				}
				want(t, "the end", err, identity.ErrUnauthenticated)
				return
			}
		})
	}
	wg.Wait()
	fmt.Println(spent.Load())
}

// TestProcessesShareTheUses: several processes together spend what there is.
func TestProcessesShareTheUses(t *testing.T) {
	const processes, uses = 4, 200
	db, path := openAt(t)
	what, err := json.Marshal(order{path, counted(t, db, uses)})
	want(t, "order", err, nil)
	type process struct {
		*osexec.Cmd
		in  io.WriteCloser
		out *bufio.Reader
	}
	var running []process
	for range processes {
		cmd := osexec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcess$")
		cmd.Env = append(os.Environ(), orderVariable+"="+string(what))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		want(t, "stdin", err, nil)
		out, err := cmd.StdoutPipe()
		want(t, "stdout", err, nil)
		want(t, "start", cmd.Start(), nil)
		p := process{cmd, in, bufio.NewReader(out)}
		if line, err := p.out.ReadString('\n'); line != "ready\n" {
			t.Fatal(line, err)
		}
		running = append(running, p)
	}
	for _, p := range running {
		want(t, "go", p.in.Close(), nil)
	}
	total := 0
	for _, p := range running {
		var spent int
		if _, err := fmt.Fscanln(p.out, &spent); err != nil {
			t.Error(err)
		}
		_, err := io.Copy(io.Discard, p.out)
		want(t, "end", errors.Join(err, p.Wait()), nil)
		total += spent
	}
	if total != uses {
		t.Errorf("%d spent of %d", total, uses)
	}
}

// counted is the text of a token of web with so many uses.
func counted(tb testing.TB, db *sqldb.DB, uses int) (text string) {
	tb.Helper()
	in(tb, db, func(tx *sqldb.Tx, s *identity.Store) {
		spec := plain(tb)
		spec.MaxUses = uses
		text, _ = issue(tb, tx, s, spec)
	})
	return text
}

// openAt is open with the file's name and with the agent web.
func openAt(tb testing.TB) (*sqldb.DB, string) {
	tb.Helper()
	dir := tb.TempDir()
	want(tb, "folder", os.Chmod(dir, 0o700), nil)
	path := filepath.Join(dir, "test.db")
	db := openFile(tb, path)
	in(tb, db, func(tx *sqldb.Tx, s *identity.Store) { add(tb, tx, s, "web", false) })
	return db, path
}

func openFile(tb testing.TB, path string) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), path, identity.Migrations())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}
