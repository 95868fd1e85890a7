package webhook_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/transport/webhook"
	"github.com/coatcheck-dev/coatcheck/vault"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// TestWhatIsTold follows a request for an approval and a rotation to the
// receiver: each event once, signed, in the recorded form; what was refused, what
// was not asked for and what was there before are not told.
func TestWhatIsTold(t *testing.T) {
	d := newDesk(t)
	const canary = "sk-canary-3f9a1c"
	d.put(t, "prod/key", canary, vault.Change{Tier: new(vault.Sensitive)})
	programKey, err := d.AddAgent(t.Context(), owner, identity.NewAgent{Name: "program"})
	must(t, err)
	program := d.by(t, programKey)
	program.Client = "cl\x1bient <b> " + "ash_" + strings.Repeat("A", 28)
	adaKey, err := d.AddAdmin(t.Context(), owner, "ada")
	must(t, err)
	ada := d.by(t, adaKey)

	v := newReceiver(t, nil)
	d.sending(t, webhook.Target{URL: v.URL + "/capability-in-the-path", Secret: keyPath})
	if _, err := d.Reveal(t.Context(), program, "prod/key", vault.Latest); err == nil {
		t.Fatal("revealed without an approval")
	}
	open, err := d.Approvals(t.Context(), owner, approval.Query{Limit: 10})
	must(t, err)
	id := open.Items[0].ID
	if _, err := d.Approve(t.Context(), program, id, ""); err == nil { // an approval.granted that was refused
		t.Fatal("approved by itself")
	}
	_, err = d.Approve(t.Context(), ada, id, "fine")
	must(t, err)
	_, err = d.Reveal(t.Context(), program, "prod/key", vault.Latest)
	must(t, err)
	d.rotate(t, "prod/key")

	var lines []string
	ids := map[string]bool{}
	for range 3 {
		m := v.next(t)
		must(t, m.verify(t, signingKey))
		if ct := m.header.Get("Content-Type"); ct != "application/json" {
			t.Error(ct)
		}
		if id := m.header.Get("Webhook-Id"); ids[id] || !regexp.MustCompile(`^evt_\d+_\w{10}$`).MatchString(id) {
			t.Error(id)
		} else {
			ids[id] = true
		}
		for _, never := range []string{canary, "rotated-", signingKey, programKey, adaKey} {
			if strings.Contains(string(m.body)+fmt.Sprint(m.header), never) {
				t.Errorf("%q in %s", never, m.body)
			}
		}
		lines = append(lines, string(m.body))
	}
	for range 3 {
		d.attempt(t)
	}
	v.silent(t)
	golden(t, "told.jsonl", strings.Join(lines, "\n")+"\n")
	if log := d.log.String(); strings.Contains(log, "capability-in-the-path") || strings.Contains(log, "whsec") {
		t.Error(log)
	}
}

// golden compares text whose times, ids and hashes are made alike.
func golden(t *testing.T, name, text string) {
	t.Helper()
	for from, to := range map[string]string{
		`"timestamp":"[^"]+Z"`: `"timestamp":"TIME"`, `apr_[0-9A-Za-z]+`: `apr_ID`, `"rule_hash":"[^"]+"`: `"rule_hash":"HASH"`,
	} {
		text = regexp.MustCompile(from).ReplaceAllString(text, to)
	}
	file := "testdata/" + name
	if *update {
		must(t, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if text != string(want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// TestEveryProcessIsHeard: what another process on the same home does is told.
func TestEveryProcessIsHeard(t *testing.T) {
	d := newDesk(t)
	d.put(t, "a", "value-of-a", vault.Change{})
	v := newReceiver(t, nil)
	d.sending(t, webhook.Target{URL: v.URL, Secret: keyPath})
	d.house.open(t).rotate(t, "a")
	if m := v.next(t); !strings.Contains(string(m.body), `"type":"secret.rotated"`) {
		t.Errorf("%s", m.body)
	}
}

// TestNothingIsLostOverARestart: the cursor is durable, and a webhook that is new,
// or new again, starts at the end.
func TestNothingIsLostOverARestart(t *testing.T) {
	d := newDesk(t)
	d.put(t, "a", "value-of-a", vault.Change{})
	d.rotate(t, "a")
	v, w := newReceiver(t, nil), newReceiver(t, nil)
	first := webhook.Target{URL: v.URL, Secret: keyPath}
	stop := d.sending(t, first)
	d.rotate(t, "a")
	if m := v.next(t); version(t, m) != 3 {
		t.Fatalf("%s", m.body)
	}
	d.attempt(t)
	stop()
	d.rotate(t, "a")
	d.rotate(t, "a")

	stop = d.sending(t, first, webhook.Target{URL: w.URL, Secret: keyPath})
	for _, want := range []int{4, 5} {
		if m := v.next(t); version(t, m) != want {
			t.Errorf("%s", m.body)
		}
		d.attempt(t)
	}
	stop()
	w.silent(t)

	d.sending(t)() // a start without any forgets them
	d.rotate(t, "a")
	d.sending(t, first)
	d.rotate(t, "a")
	if m := v.next(t); version(t, m) != 7 {
		t.Errorf("%s", m.body)
	}
}

func version(t *testing.T, m told) int {
	t.Helper()
	var got struct{ Data struct{ Version int } }
	must(t, json.Unmarshal(m.body, &got))
	return got.Data.Version
}

// TestSendersShareAWebhook: of several processes each event is told by one, in
// order.
func TestSendersShareAWebhook(t *testing.T) {
	d := newDesk(t)
	other := d.house.open(t)
	d.put(t, "a", "value-of-a", vault.Change{})
	v := newReceiver(t, nil)
	target := webhook.Target{URL: v.URL, Secret: keyPath}
	stop, stopOther := d.sending(t, target), other.sending(t, target)
	const events = 30
	for i := range events {
		[]*desk{d, other}[i%2].rotate(t, "a")
	}
	for i := range events {
		if m := v.next(t); version(t, m) != i+2 {
			t.Fatalf("message %d: %s", i, m.body)
		}
	}
	stop()
	stopOther()
	v.silent(t)
}

// TestDownThenUp: an event is sent again until it is taken, with the same id, and
// those behind it follow in order; another webhook does not wait.
func TestDownThenUp(t *testing.T) {
	d := newDesk(t)
	d.put(t, "a", "value-of-a", vault.Change{})
	v := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader([]int{500, 302, 404}[n])
		}
	})
	d.sending(t, webhook.Target{URL: v.URL, Secret: keyPath})
	d.rotate(t, "a")
	var id string
	for n, wait := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		m := v.next(t)
		if got := m.header.Get("Webhook-Id"); id != "" && got != id {
			t.Errorf("id %s, then %s", id, got)
		} else {
			id = got
		}
		if s := d.attempt(t); s.Failures != n+1 || s.Wait != wait {
			t.Errorf("%+v", s)
		}
		d.rotate(t, "a") // wakes the sender, which is to wait
		v.silent(t)
		d.house.pass(wait)
		d.put(t, "b", "value-of-b", vault.Change{}) // wakes it, and is not told
	}
	for want := 2; want <= 5; want++ {
		if m := v.next(t); version(t, m) != want {
			t.Errorf("%s", m.body)
		}
		if s := d.attempt(t); s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	}
	if !strings.Contains(d.log.String(), `code=http_302`) {
		t.Error(d.log)
	}
}

// TestGone: 410 ends a webhook until it is started again, on record; others go on.
func TestGone(t *testing.T) {
	d := newDesk(t)
	d.put(t, "a", "value-of-a", vault.Change{})
	v := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			w.WriteHeader(http.StatusGone)
		}
	})
	other := newReceiver(t, nil)
	targets := []webhook.Target{{URL: v.URL, Secret: keyPath}, {URL: other.URL, Secret: keyPath}}
	stop := d.sending(t, targets...)
	d.rotate(t, "a")
	v.next(t)
	other.next(t)
	d.rotate(t, "a")
	other.next(t)
	stop()
	v.silent(t)
	failed := d.events(t, "webhook.failed")
	if len(failed) != 1 || failed[0].Code != "http_410" || failed[0].Ref == 0 || !strings.Contains(failed[0].Target, v.URL) {
		t.Errorf("%+v", failed)
	}
	d.sending(t, targets...)
	for _, want := range []int{2, 3} {
		if m := v.next(t); version(t, m) != want {
			t.Errorf("%s", m.body)
		}
	}
}

// TestRotatedKey: while the grace of a rotation lasts both keys sign, then the new
// one alone; a sender that runs follows.
func TestRotatedKey(t *testing.T) {
	d := newDesk(t)
	recipe := vault.Recipe("whsec_{base62:32}")
	_, err := d.Put(t.Context(), owner, keyPath, vault.Change{Generate: &recipe})
	must(t, err)
	v := newReceiver(t, nil)
	d.sending(t, webhook.Target{URL: v.URL, Secret: keyPath})
	grace := 3 * time.Minute
	_, err = d.Rotate(t.Context(), owner, broker.RotateRequest{Path: keyPath, Grace: grace})
	must(t, err)
	fresh, err := d.Reveal(t.Context(), owner, keyPath, vault.Latest)
	must(t, err)
	key := string(fresh.Value.Reveal())
	m := v.next(t)
	must(t, m.verify(t, signingKey))
	must(t, m.verify(t, key))
	d.attempt(t)

	d.house.pass(grace)
	d.put(t, "a", "value-of-a", vault.Change{})
	d.rotate(t, "a")
	m = v.next(t)
	must(t, m.verify(t, key))
	if m.verify(t, signingKey) == nil || strings.Contains(m.header.Get("Webhook-Signature"), " ") {
		t.Error("signed with a key that is retired")
	}
	d.attempt(t)

	// One that was replaced, not rotated, can still be read by its number and signs nothing.
	d.put(t, keyPath, signingKey, vault.Change{})
	d.rotate(t, "a")
	m = v.next(t)
	must(t, m.verify(t, signingKey))
	if m.verify(t, key) == nil {
		t.Error("signed with a key that was replaced")
	}
}

// TestKeyGoesAway: without its key a webhook fails, and goes on when there is one.
func TestKeyGoesAway(t *testing.T) {
	d := newDesk(t)
	v := newReceiver(t, nil)
	d.sending(t, webhook.Target{URL: v.URL, Secret: keyPath})
	d.put(t, "a", "value-of-a", vault.Change{})
	_, err := d.Delete(t.Context(), owner, keyPath, false)
	must(t, err)
	d.rotate(t, "a")
	if s := d.attempt(t); s.Failures != 1 {
		t.Fatalf("%+v", s)
	}
	v.silent(t)
	_, err = d.Restore(t.Context(), owner, keyPath)
	must(t, err)
	d.house.pass(time.Minute)
	d.put(t, "a", "another-value", vault.Change{})
	must(t, v.next(t).verify(t, signingKey))
}

func TestTargetsAreChecked(t *testing.T) {
	d := newDesk(t)
	d.put(t, "no/key", "not-a-key-at-all", vault.Change{})
	d.put(t, "short/key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLA==", vault.Change{})
	d.put(t, "long/key", "whsec_"+strings.Repeat("MfKQ", 22), vault.Change{})
	good := webhook.Target{URL: "https://hooks.example.com/x", Secret: keyPath}
	many := make([]webhook.Target, webhook.MaxTargets+1)
	for i := range many {
		many[i] = webhook.Target{URL: fmt.Sprintf("https://hooks.example.com/%d", i), Secret: keyPath}
	}
	for name, c := range map[string]struct {
		targets []webhook.Target
		number  int
		says    string
	}{
		"no url":       {[]webhook.Target{{Secret: keyPath}}, 1, "url"},
		"plain http":   {[]webhook.Target{good, {URL: "http://hooks.example.com/", Secret: keyPath}}, 2, "plain http"},
		"metadata":     {[]webhook.Target{{URL: "https://169.254.169.254/", Secret: keyPath}}, 1, "address"},
		"same url":     {[]webhook.Target{good, {URL: "https://HOOKS.example.com:443/%78", Secret: keyPath}}, 2, "url of another"},
		"no path":      {[]webhook.Target{{URL: good.URL}}, 1, "secret_path"},
		"event":        {[]webhook.Target{{URL: good.URL, Secret: keyPath, Events: []vault.Glob{"Approval granted"}}}, 1, "event"},
		"empty event":  {[]webhook.Target{{URL: good.URL, Secret: keyPath, Events: []vault.Glob{""}}}, 1, "event"},
		"too many":     {many, webhook.MaxTargets + 1, "too many"},
		"missing key":  {[]webhook.Target{good, {URL: "https://a.example.com", Secret: "nowhere"}}, 2, "not there"},
		"not a key":    {[]webhook.Target{{URL: good.URL, Secret: "no/key"}}, 1, "24 to 64 bytes"},
		"a short key":  {[]webhook.Target{{URL: good.URL, Secret: "short/key"}}, 1, "24 to 64 bytes"},
		"too long key": {[]webhook.Target{{URL: good.URL, Secret: "long/key"}}, 1, "24 to 64 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := webhook.New(t.Context(), d, owner, redeem.NewClient(nil), c.targets, nil)
			wrong, ok := err.(*webhook.TargetError) //nolint:errorlint // it is that very error
			if !ok || wrong.Number != c.number || !strings.Contains(wrong.Reason, c.says) || wrong.Next == "" {
				t.Errorf("%#v", err)
			}
		})
	}
	if _, err := webhook.New(t.Context(), d, d.by(t, func() string { k, _ := d.AddAgent(t.Context(), owner, identity.NewAgent{Name: "x"}); return k }()), redeem.NewClient(nil), []webhook.Target{good}, nil); err == nil {
		t.Error("an agent may send")
	}
}

// TestAfterAKill: the lease of a sender that died in the middle of an attempt runs
// out, and the event is sent by the next one.
func TestAfterAKill(t *testing.T) {
	d := newDesk(t)
	d.put(t, "a", "value-of-a", vault.Change{})
	v := newReceiver(t, nil)
	target := webhook.Target{URL: v.URL, Secret: keyPath}
	d.sending(t, target)()
	to, err := redeem.ParseEndpoint(v.URL, nil)
	must(t, err)
	if _, held, err := d.HoldWebhook(t.Context(), owner, webhook.ID(to), "killed"); err != nil || !held {
		t.Fatal(held, err)
	}
	d.rotate(t, "a")
	d.sending(t, target)
	d.rotate(t, "a") // wakes the sender, if that were needed
	v.silent(t)
	d.house.pass(broker.WebhookLease)
	for _, want := range []int{2, 3} {
		if m := v.next(t); version(t, m) != want {
			t.Errorf("%s", m.body)
		}
	}
}
