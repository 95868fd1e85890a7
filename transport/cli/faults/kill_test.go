package faults_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
)

// usedPath is the secret that handles are for.
const usedPath = "s/key"

// ticket is a counted handle that every agent process uses.
type ticket struct {
	number int
	text   string
	uses   int
	tries  atomic.Int64
}

// rig is the load, and what is known of it.
type rig struct {
	*home
	t     *testing.T
	api   *httptest.Server
	began time.Time
	over  atomic.Bool
	next  atomic.Int64 // numbers tries

	mu       sync.Mutex
	tickets  []*ticket // in use
	uses     map[int]int
	ids      map[int]string // of tickets
	issued   []string       // ids of handles that were acknowledged
	history  []porcupine.Operation
	acked    map[string]bool // tries that were answered
	arrivals map[string]string
	twice    []string        // tries that arrived more than once
	values   map[string]bool // of usedPath, acknowledged or not
}

func (r *rig) fail(err error) {
	if err != nil && !errors.Is(err, errDied) {
		r.t.Error(err)
		r.over.Store(true)
	}
}

// arrive counts what reaches the upstream.
func (r *rig) arrive(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.arrivals[q.URL.Path]; again {
		r.twice = append(r.twice, q.URL.Path)
	}
	r.arrivals[q.URL.Path] = strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
	w.WriteHeader(http.StatusNoContent)
}

func newValue() string {
	random := make([]byte, 20)
	for i := range random {
		random[i] = byte(rand.IntN(256))
	}
	return "val-" + hex.EncodeToString(random)
}

// agent is one MCP client, which starts its program anew whenever it dies.
func (r *rig) agent() {
	for !r.over.Load() {
		c, err := r.connect(context.WithoutCancel(r.t.Context()))
		for err == nil && !r.over.Load() {
			if rand.IntN(4) == 0 {
				err = r.issue(c)
			} else {
				err = r.spend(c)
			}
		}
		r.fail(err)
		if c != nil {
			r.fail(c.close())
		}
	}
}

// issue gets a handle, every other one counted and for all to use.
func (r *rig) issue(c *client) error {
	uses := rand.IntN(6)
	args := map[string]any{"path": usedPath}
	if uses > 0 {
		args["uses"] = uses
	}
	got, err := c.tool("get_secret", args)
	if err != nil {
		return tolerated(err)
	}
	text, _ := got["handle"].(string)
	if handle.Check(text) != nil {
		return fmt.Errorf("get_secret gave %v", got)
	}
	id := mint.ID("h_", mint.Hash(text))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.issued = append(r.issued, id)
	if uses > 0 && len(r.tickets) < 6 {
		number := len(r.uses) + 1
		r.uses[number], r.ids[number] = uses, id
		r.tickets = append(r.tickets, &ticket{number: number, text: text, uses: uses})
	}
	return nil
}

// tolerated lets pass that the vault was busy: nothing was done then.
func tolerated(err error) error {
	if no := (refused{}); errors.As(err, &no) && no.code == "busy" {
		return nil
	}
	return err
}

// spend makes one request with some counted handle.
func (r *rig) spend(c *client) error {
	r.mu.Lock()
	if len(r.tickets) == 0 {
		r.mu.Unlock()
		return r.issue(c)
	}
	at := rand.IntN(len(r.tickets))
	one := r.tickets[at]
	if one.tries.Add(1) > int64(one.uses+3) { // tried often enough after its end
		r.tickets = append(r.tickets[:at], r.tickets[at+1:]...)
	}
	r.mu.Unlock()

	try := fmt.Sprintf("/h/%d/%d", one.number, r.next.Add(1))
	call := time.Since(r.began).Nanoseconds()
	_, err := c.tool("http_request", map[string]any{
		"url": r.api.URL + try, "headers": map[string]any{"Authorization": "Bearer " + one.text},
	})
	end, out := time.Since(r.began).Nanoseconds(), spent{outcome: done}
	no := refused{}
	switch {
	case errors.As(err, &no) && no.code == "busy":
		return nil
	case errors.As(err, &no) && (no.code == "handle_exhausted" || no.code == "handle_unknown" && r.ringIsFull()):
		out.outcome, err = not, nil
	case errors.Is(err, errDied):
		out.outcome, end = unknown, time.Hour.Nanoseconds()
	case err != nil:
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[try] = out.outcome == done
	r.history = append(r.history, porcupine.Operation{Input: spending{ticket: one.number}, Output: out, Call: call, Return: end})
	return err
}

// ringIsFull reports that there have been so many handles that those without
// uses left were swept away, and those alone: counted ones do not get old here.
func (r *rig) ringIsFull() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.issued) > handle.MaxLive/2 // more were made than acknowledged
}

// ownerRuns runs one command of the owner and says how it ended.
func (r *rig) ownerRuns(stdin string, args ...string) (outcome int) {
	got, err := r.run(r.t.Context(), stdin, args...)
	if err != nil {
		r.fail(err)
		return unknown
	}
	switch {
	case got.killed:
		return unknown
	case got.code == 0, strings.Contains(got.stderr, "was carried out"):
		return done
	case got.code == 4, got.code == 5:
		return not
	case got.code == 7 && strings.Contains(got.stderr, "busy"): // nothing was changed: as if not run
		return -1
	default:
		r.fail(fmt.Errorf("coatcheck %s ended with %d: %s", strings.Join(args, " "), got.code, got.stderr))
		return unknown
	}
}

// owner changes one path in turn and keeps what may be believed of it.
func (r *rig) owner(path string) belief {
	b := belief{{}}
	for !r.over.Load() {
		value := newValue()
		act, stdin, args := setTo(value), value, []string{"secret", "set", path}
		switch rand.IntN(4) {
		case 0:
			act, stdin, args = remove, "", []string{"secret", "delete", path}
		case 1:
			act, stdin, args = restore, "", []string{"secret", "restore", path}
		}
		outcome := r.ownerRuns(stdin, args...)
		if outcome < 0 {
			continue
		}
		next := b.after(act, outcome)
		if len(next) == 0 {
			r.fail(fmt.Errorf("%s: %v ended with %d where that cannot be: %+v", path, args, outcome, b))
			return b
		}
		b = next
	}
	return b
}

// rotate gives the secret that is used new values, and looks after the record.
func (r *rig) rotate() {
	for !r.over.Load() {
		value := newValue()
		r.mu.Lock()
		r.values[value] = true
		r.mu.Unlock()
		r.ownerRuns(value, "secret", "rotate", usedPath)
		r.ownerRuns("", "audit", "verify")
	}
}

// TestKilledUnderLoad kills programs of a home at any moment while others work.
func TestKilledUnderLoad(t *testing.T) {
	r := &rig{
		home: newHome(t), t: t, began: time.Now(), uses: map[int]int{}, ids: map[int]string{}, acked: map[string]bool{},
		arrivals: map[string]string{}, values: map[string]bool{},
	}
	r.api = httptest.NewServer(http.HandlerFunc(r.arrive))
	defer r.api.Close()
	first := newValue()
	r.values[first] = true
	r.must(t, 0, first, "secret", "set", usedPath, "--to", r.api.URL)

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(r.agent)
	}
	paths := map[string]belief{"w/a": nil, "w/b": nil}
	var held sync.Mutex
	for path := range paths {
		wg.Go(func() {
			b := r.owner(path)
			held.Lock()
			defer held.Unlock()
			paths[path] = b
		})
	}
	wg.Go(r.rotate)
	killed := 0
	for killed < *kills && !r.over.Load() {
		time.Sleep(time.Duration(rand.IntN(320)) * time.Millisecond) // a random moment
		if r.kill() {
			killed++
		}
	}
	r.over.Store(true)
	wg.Wait()
	if t.Failed() {
		return
	}
	r.check(t, paths)
	t.Logf("%d killed in %s: %d handles, %d tries, %d arrived", killed, time.Since(r.began).Round(time.Millisecond), len(r.issued), len(r.history), len(r.arrivals))
}
