package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

const tokenPolicy = `version: 1
rules:
  - {name: programs, agents: [reader], doors: [rest], paths: ["*"], allow: [list, reveal, token]}
`

// desks are servers of one home, each started anew when it is killed.
type desks struct {
	*home
	t    *testing.T
	over atomic.Bool

	mu  sync.Mutex
	url map[int]string // of those that answer
}

var served = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// keep has the n-th server running until it is over.
func (d *desks) keep(n int) {
	for !d.over.Load() {
		if err := d.serve(n); err != nil {
			d.t.Error(err)
			d.over.Store(true)
		}
	}
}

func (d *desks) serve(n int) error {
	cmd := d.command(context.WithoutCancel(d.t.Context()), "serve", "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := d.start(cmd); err != nil {
		return err
	}
	said, text := bufio.NewScanner(stderr), bytes.Buffer{}
	for said.Scan() {
		text.WriteString(said.Text() + "\n")
		if url := served.FindString(said.Text()); url != "" {
			d.set(n, url)
		}
	}
	d.set(n, "")
	killed := d.wait(cmd)
	if code := cmd.ProcessState.ExitCode(); code != 0 && !killed {
		return fmt.Errorf("serve ended by itself with %d: %s", code, text.String())
	}
	return nil
}

func (d *desks) set(n int, url string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.url, n)
	if url != "" {
		d.url[n] = url
	}
}

// one is some server that answers, "" when there is none just now.
func (d *desks) one() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, url := range d.url { // in no order
		return url
	}
	return ""
}

// end kills every server, one that is just being started too, until all are gone.
func (d *desks) end(all *sync.WaitGroup) {
	d.over.Store(true)
	gone := make(chan struct{})
	go func() {
		all.Wait()
		close(gone)
	}()
	for {
		select {
		case <-gone:
			return
		case <-time.After(10 * time.Millisecond):
			d.kill()
		}
	}
}

// ask makes one request of some server. gone: nobody knows what it did.
func (d *desks) ask(method, path, key, body string) (status int, text []byte, gone bool) {
	url := d.one()
	if url == "" {
		return 0, nil, false
	}
	q, err := http.NewRequestWithContext(d.t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		d.t.Error(err)
		return 0, nil, false
	}
	q.Header.Set("Authorization", "Bearer "+key)
	q.Header.Set("Content-Type", "application/json")
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Do(q)
	if err != nil {
		return 0, nil, true
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	text, err = io.ReadAll(answer.Body)
	return answer.StatusCode, text, err != nil
}

// counted is a token with a number of uses, for all to use.
type counted struct {
	number int
	text   string
	uses   int
	tries  atomic.Int64
}

// TestTokensKilled reads with counted tokens from several servers of one home
// that are killed at any moment: no token is good for one use too many, and no
// acknowledged reading is forgotten.
func TestTokensKilled(t *testing.T) {
	d := &desks{home: newHome(t), t: t, url: map[int]string{}}
	d.must(t, 0, "", "init")
	key := strings.TrimSpace(d.must(t, 0, "", "agent", "add", "reader").out)
	d.must(t, 0, "a value to read", "secret", "set", "s/key")
	if err := os.WriteFile(d.path("policy.yaml"), []byte(tokenPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		tokens  []*counted
		uses    = map[int]int{}
		history []porcupine.Operation
		began   = time.Now()
	)
	issue := func() {
		n := 1 + rand.IntN(6)
		status, text, _ := d.ask(http.MethodPost, "/v1/tokens", key, `{"scope":"secrets:read:s/*","max_uses":`+strconv.Itoa(n)+`}`)
		if status/100 != 2 {
			return
		}
		var got struct{ Token string }
		if err := json.Unmarshal(text, &got); err != nil || got.Token == "" {
			t.Errorf("%v: %s", err, text)
		}
		mu.Lock()
		defer mu.Unlock()
		number := len(uses) + 1
		uses[number] = n
		tokens = append(tokens, &counted{number: number, text: got.Token, uses: n})
	}
	read := func(one *counted) {
		call := time.Since(began).Nanoseconds()
		status, text, gone := d.ask(http.MethodGet, "/v1/secrets/s%2Fkey", one.text, "")
		end, out := time.Since(began).Nanoseconds(), spent{outcome: done}
		switch {
		case gone:
			out.outcome, end = unknown, time.Hour.Nanoseconds()
		case status == http.StatusUnauthorized:
			out.outcome = not
		case status != http.StatusOK: // none answered, busy, or too many wrong keys: nothing was done
			if status != 0 && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
				t.Errorf("%d: %s", status, text)
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{Input: spending{ticket: one.number}, Output: out, Call: call, Return: end})
	}
	reader := func() {
		for !d.over.Load() {
			mu.Lock()
			var one *counted
			if len(tokens) > 0 {
				at := rand.IntN(len(tokens))
				if one = tokens[at]; one.tries.Add(1) > int64(one.uses+2) {
					tokens = append(tokens[:at], tokens[at+1:]...)
				}
			}
			few := len(tokens) < 6
			mu.Unlock()
			if one == nil || few && rand.IntN(4) == 0 {
				issue()
			} else {
				read(one)
			}
		}
	}
	var all sync.WaitGroup
	for n := range 3 {
		all.Go(func() { d.keep(n) })
	}
	for range 4 {
		all.Go(reader)
	}
	for killed := 0; killed < max(*kills/5, 5) && !d.over.Load(); {
		time.Sleep(time.Duration(100+rand.IntN(300)) * time.Millisecond) // a random moment
		if d.one() != "" && d.kill() {
			killed++
		}
	}
	for d.one() == "" && !d.over.Load() { // some moments with nobody killed
		time.Sleep(10 * time.Millisecond)
	}
	d.end(&all)
	tally := map[int]int{}
	for _, op := range history {
		tally[op.Output.(spent).outcome]++
	}
	if tally[done] == 0 || tally[not] == 0 {
		t.Errorf("too little happened: %v", tally)
	}
	if got := linearizable(uses, history); got != porcupine.Ok {
		t.Errorf("the uses of %d tokens are not those of a counter: %s", len(uses), got)
	}
	d.must(t, 0, "", "audit", "verify")
	t.Logf("%d tokens, %d tries: %v (%d done, %d not, %d unknown)", len(uses), len(history), tally, done, not, unknown)
}
