package broker_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func nothing(http.ResponseWriter, *http.Request) {}

// mirror answers with the body it got.
func mirror(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// text is what a log was told.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// surfacings are the paths of the alarms on record.
func (f *fixture) surfacings(t *testing.T) (out []vault.Path) {
	t.Helper()
	for _, e := range f.events(t) {
		if e.Event == "secret.surfaced" {
			if e.Code != "mask_unexplained" || e.Outcome != audit.Denied || e.Target == "" || e.Actor != local.ID() {
				t.Errorf("alarm %+v", e)
			}
			out = append(out, e.Path)
		}
	}
	return out
}

// say sends a body with a handle of the path to base.
func (f *fixture) say(t *testing.T, p vault.Path, base, body string) broker.Answer {
	t.Helper()
	call := get(base, f.issue(t, local, broker.IssueRequest{Path: p}))
	call.Method, call.Body = "POST", body
	answer, err := f.HTTP(t.Context(), local, call)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestTheScrubberIsNoOracle sends 100,000 guesses to an API that echoes them.
// What comes back is what was sent, whether a guess is a secret that the caller
// has not used, the beginning, the end or nearly the whole of one that it has,
// or nothing. The only guess that shows is a whole secret that it has used, and
// that stands on record at once.
func TestTheScrubberIsNoOracle(t *testing.T) {
	echo, api := answers(t, mirror), answers(t, nothing)
	f := newDesk(t, allowAll)
	var log text
	f.logTo(t, &log)
	f.put(t, "own/key", vault.Change{}, echo)
	used := f.put(t, "used/key", vault.Change{}, api)
	unused := f.put(t, "unused/key", vault.Change{}, api)
	f.use(t, "used/key", api)
	stranger, strangers := f.agent(t, "stranger"), f.put(t, "strangers/key", vault.Change{}, api)
	if _, err := f.HTTP(t.Context(), stranger, get(api, f.issue(t, stranger, broker.IssueRequest{Path: "strangers/key"}))); err != nil {
		t.Fatal(err)
	}

	const calls, each = 100, 1000
	for call := range calls {
		var b strings.Builder
		for i := range each {
			guess := "val-" + rand.Text()
			switch n := call*each + i; n % 6 {
			case 0:
				guess = unused
			case 1:
				guess = strangers
			case 2:
				guess = used[:1+n/6%(len(used)-1)]
			case 3:
				guess = used[1+n/6%(len(used)-1):]
			case 4: // one letter is another
				at := n / 6 % len(used)
				guess = used[:at] + string(rune('0'+n/6%10)) + used[at+1:]
				if guess == used || strings.EqualFold(guess, used) {
					continue
				}
			}
			b.WriteString("0 " + guess + "\n") // which is in no value: two guesses make no third
		}
		if got := f.say(t, "own/key", echo, b.String()); string(got.Body) != b.String() || got.Masked != 0 {
			t.Fatalf("call %d: %d masks in %d bytes of %d", call, got.Masked, len(got.Body), b.Len())
		}
	}
	if got := f.surfacings(t); got != nil {
		t.Fatalf("alarm for %v", got)
	}
	got := f.say(t, "own/key", echo, "1 "+used)
	if string(got.Body) != "1 [secret used/key]" {
		t.Errorf("%s", got.Body)
	}
	if alarms := f.surfacings(t); len(alarms) != 1 || alarms[0] != "used/key" {
		t.Errorf("alarms %v", alarms)
	}
	if said := log.String(); !strings.Contains(said, "level=WARN") || !strings.Contains(said, "used/key") || strings.Contains(said, used) {
		t.Errorf("the log says %s", said)
	}
}

// TestSurfaced: an alarm is for what was masked where it was not sent, and for
// nothing else.
func TestSurfaced(t *testing.T) {
	var leaked string
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, leaked)
	}
	one, two := answers(t, echo), answers(t, echo)
	f := newDesk(t, allowAll)
	first := f.put(t, "a/first", vault.Change{}, one)
	both := f.put(t, "a/both", vault.Change{}, one, two)
	f.put(t, "a/second", vault.Change{}, two)
	f.put(t, "a/quiet", statusOnly(t, two))
	none := func(when string) {
		t.Helper()
		if got := f.surfacings(t); got != nil {
			t.Errorf("%s: alarm for %v", when, got)
		}
	}
	f.use(t, "a/first", one)
	f.use(t, "a/both", one)
	leaked = first + both
	f.use(t, "a/first", one)
	none("what was sent to where it comes from")
	f.use(t, "a/both", two)
	if got := f.surfacings(t); len(got) != 1 || got[0] != "a/first" {
		t.Errorf("alarms %v", got)
	}
	leaked = ""
	f.use(t, "a/second", two)
	if got := f.surfacings(t); len(got) != 1 {
		t.Errorf("alarms %v", got)
	}
	leaked = first
	f.use(t, "a/quiet", two)
	if got := f.surfacings(t); len(got) != 1 {
		t.Errorf("of an answer that nobody sees: alarms %v", got)
	}
	leaked = strings.Repeat(first+" ", 50)
	if got := f.use(t, "a/second", two); strings.Contains(string(got.Body), first) {
		t.Error("not masked")
	}
	if got := f.surfacings(t); len(got) != 2 {
		t.Errorf("one alarm for one answer: %v", got)
	}
}

// statusOnly is a destination whose answers are shown by their status.
func statusOnly(t *testing.T, base string) vault.Change {
	t.Helper()
	d, err := vault.ParseDestination(base, vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	d.HTTP.Answer = vault.Answer{Show: vault.ShowStatus}
	return vault.Change{Destinations: &[]vault.Destination{d}}
}

// logTo makes the desk anew, with a log.
func (f *fixture) logTo(t *testing.T, w io.Writer) {
	t.Helper()
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	f.config.Log = slog.New(slog.NewTextHandler(w, nil))
	if f.Broker, err = broker.New(f.config); err != nil {
		t.Fatal(err)
	}
}

// agent registers an agent.
func (f *fixture) agent(t *testing.T, name string) identity.Principal {
	t.Helper()
	if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: name}); err != nil {
		t.Fatal(err)
	}
	return identity.Principal{Kind: identity.Agent, Name: name, Door: policy.DoorMCP}
}
