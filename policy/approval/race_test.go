package approval_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// order is what a process of these tests is told to do, as JSON in its environment.
type order struct {
	Path    string
	ID      string // of the request that is spent by id
	Replays int
}

const orderVariable = "COATCHECK_TEST_REPLAY"

// TestProcess is no test of its own: it is the body of the other processes. It says
// that it is ready, starts when its input ends, and reports how often it had what
// can be had once.
func TestProcess(t *testing.T) {
	text := os.Getenv(orderVariable)
	if text == "" {
		return
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	db, _ := open(t, o.Path)
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
	fmt.Println(replay(t, db, o))
}

// replay spends one request by its digest and another by its id, as often as it is
// told, and returns how often that went well.
func replay(t *testing.T, db *sqldb.DB, o order) (byDigest, byID int64) {
	t.Helper()
	s := approval.New(rows)
	var won [2]atomic.Int64
	var wg sync.WaitGroup
	for i := range o.Replays {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				var err error
				if i%2 == 0 {
					_, err = s.Spend(tx, me, spec(me, 1).Digest, noon)
				} else {
					_, err = s.SpendID(tx, o.ID, me, noon)
				}
				return err
			})
			switch {
			case err == nil:
				won[i%2].Add(1)
			case !errors.Is(err, []error{approval.ErrNone, approval.ErrSettled}[i%2]):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return won[0].Load(), won[1].Load()
}

// TestReplays: of a thousand at once, from goroutines, two databases on one file
// and two other processes, exactly one has what was approved (THREATS T22).
func TestReplays(t *testing.T) {
	first, path := open(t)
	second, _ := open(t, path)
	o := order{Path: path, Replays: 500 / scale} // of each four: 1,000 by digest and 1,000 by id
	update(t, first, func(tx *sqldb.Tx) {
		s := approval.New(rows)
		for what := range byte(2) {
			sp := spec(me, what+1)
			sp.Quorum, sp.Delay = 1, 0
			o.ID = ask(t, tx, s, sp, noon).ID
			agree(t, tx, s, o.ID, noon, ada)
		}
	})
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	type process struct {
		cmd *exec.Cmd
		in  io.Closer
		out *bufio.Reader
	}
	var others []process
	for range 2 {
		p := process{cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcess$")}
		p.cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
		p.cmd.Stderr = os.Stderr
		in, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.in, p.out = in, bufio.NewReader(out)
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("%q %v", line, err)
		}
		others = append(others, p)
	}
	for _, p := range others {
		_ = p.in.Close()
	}
	var byDigest, byID atomic.Int64
	var wg sync.WaitGroup
	for _, db := range []*sqldb.DB{first, second} {
		wg.Go(func() {
			d, i := replay(t, db, o)
			byDigest.Add(d)
			byID.Add(i)
		})
	}
	for _, p := range others {
		var d, i int64
		line, _ := p.out.ReadString('\n')
		if _, err := fmt.Sscan(line, &d, &i); err != nil {
			t.Error(line, err)
		}
		byDigest.Add(d)
		byID.Add(i)
		if _, err := io.Copy(io.Discard, p.out); err != nil {
			t.Error(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if byDigest.Load() != 1 || byID.Load() != 1 {
		t.Errorf("%d by digest, %d by id", byDigest.Load(), byID.Load())
	}
}

// TestVotesAtOnce: two admins at once are two votes, one admin twice at once is one.
func TestVotesAtOnce(t *testing.T) {
	first, path := open(t)
	second, _ := open(t, path)
	s := approval.New(rows)
	for what := range byte(10) {
		var r approval.Request
		update(t, first, func(tx *sqldb.Tx) {
			sp := spec(me, what)
			sp.Quorum = 3
			r = ask(t, tx, s, sp, noon)
		})
		var wg sync.WaitGroup
		var counted atomic.Int64
		for i, admin := range []string{ada, ada, bob, bob, ada, bob} {
			db := []*sqldb.DB{first, second}[i%2]
			wg.Go(func() {
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := s.Approve(tx, r.ID, admin, "", noon); return err })
				if err == nil {
					counted.Add(1)
				} else if !errors.Is(err, approval.ErrVoted) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		update(t, first, func(tx *sqldb.Tx) {
			if r, err := s.Get(tx, r.ID, noon); err != nil || r.Agreed() != 2 || counted.Load() != 2 || !r.ReadyAt.IsZero() {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}

// TestAUseThatIsUndoneIsNone: the caller's transaction decides.
func TestAUseThatIsUndoneIsNone(t *testing.T) {
	db, _ := open(t)
	s := approval.New(rows)
	sp := spec(me, 1)
	update(t, db, func(tx *sqldb.Tx) { agree(t, tx, s, ask(t, tx, s, sp, noon).ID, noon, ada, bob) })
	boom := errors.New("boom")
	for _, end := range []error{boom, nil} {
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := s.Spend(tx, me, sp.Digest, noon.Add(delay)); err != nil {
				return err
			}
			return end
		})
		want(t, "spend", err, end)
	}
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := s.Spend(tx, me, sp.Digest, noon.Add(delay)); return err })
	want(t, "again", err, approval.ErrNone)
}
