package broker_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (f *fixture) hold(t *testing.T, id, holder string) (broker.WebhookState, bool) {
	t.Helper()
	s, held, err := f.HoldWebhook(t.Context(), owner, id, holder)
	if err != nil {
		t.Fatal(err)
	}
	return s, held
}

func (f *fixture) settle(t *testing.T, id, holder string, next broker.WebhookState, failed *broker.WebhookFailure) {
	t.Helper()
	if err := f.SettleWebhook(t.Context(), owner, id, holder, next, failed); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) webhook(t *testing.T, id string) broker.WebhookState {
	t.Helper()
	s, err := f.Webhook(t.Context(), owner, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWebhooksAreTheOwners: nobody else reads the feed or moves a cursor.
func TestWebhooksAreTheOwners(t *testing.T) {
	f := newDesk(t, allowEverything)
	for _, who := range []identity.Principal{local, f.admin(t, "ada")} {
		_, feed := f.Feed(t.Context(), who, 0, 10)
		_, read := f.Webhook(t.Context(), who, "w")
		_, _, hold := f.HoldWebhook(t.Context(), who, "w", "me")
		for name, err := range map[string]error{
			"feed": feed, "open": f.OpenWebhooks(t.Context(), who, []string{"w"}), "read": read, "hold": hold,
			"settle": f.SettleWebhook(t.Context(), who, "w", "me", broker.WebhookState{}, nil),
		} {
			if codeOf(err) != string(broker.OwnerOnly) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestWebhookCursor(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.put(t, "a", vault.Change{})
	if _, err := f.Webhook(t.Context(), owner, "w"); !errors.Is(err, broker.ErrNoWebhook) {
		t.Fatal(err)
	}
	if _, held := f.hold(t, "w", "me"); held {
		t.Fatal("held what is not there")
	}
	open := func(ids ...string) {
		t.Helper()
		if err := f.OpenWebhooks(t.Context(), owner, ids); err != nil {
			t.Fatal(err)
		}
	}
	open("w", "v")
	if s := f.webhook(t, "w"); s != (broker.WebhookState{Sent: 1}) {
		t.Fatalf("%+v", s)
	}
	f.put(t, "b", vault.Change{})
	open("v", "w") // nothing new
	if s := f.webhook(t, "w"); s.Sent != 1 {
		t.Fatalf("%+v", s)
	}
	if _, held := f.hold(t, "w", "me"); !held {
		t.Fatal("not held")
	}
	f.settle(t, "w", "me", broker.WebhookState{Sent: 2, Failures: 3, Wait: time.Hour}, &broker.WebhookFailure{Where: "w https://x.example.com", Code: "http_500", First: 2, Last: 2, Events: 1})
	if s := f.webhook(t, "w"); s != (broker.WebhookState{Sent: 2, Failures: 3, Wait: time.Hour}) {
		t.Errorf("%+v", s)
	}
	all := f.events(t)
	if e := all[len(all)-1]; e.Event != "webhook.failed" || e.Outcome != audit.Failed || e.Ref != 2 || e.Code != "http_500" || e.Target != "w https://x.example.com: 1 events given up, 2 to 2" {
		t.Errorf("%+v", e)
	}
	open("v") // w is configured no longer
	open("v", "w")
	if s := f.webhook(t, "w"); s != (broker.WebhookState{Sent: 3}) {
		t.Errorf("%+v", s)
	}
	if s := f.webhook(t, "v"); s.Sent != 1 {
		t.Errorf("another one's coming moved it: %+v", s)
	}
}

// TestWebhookLease: one sender at a time, until it is done or taken to have died;
// a clock that was set back binds nobody for longer.
func TestWebhookLease(t *testing.T) {
	f := newDesk(t, allowEverything)
	if err := f.OpenWebhooks(t.Context(), owner, []string{"w"}); err != nil {
		t.Fatal(err)
	}
	held := func(holder string, want bool) {
		t.Helper()
		if _, got := f.hold(t, "w", holder); got != want {
			t.Fatalf("%s: held %v", holder, got)
		}
	}
	held("a", true)
	held("b", false)
	held("a", true)
	if !f.webhook(t, "w").Busy {
		t.Error("not busy")
	}
	f.pass(broker.WebhookLease)
	if f.webhook(t, "w").Busy {
		t.Error("busy")
	}
	held("b", true)
	if err := f.SettleWebhook(t.Context(), owner, "w", "a", broker.WebhookState{Sent: 9}, &broker.WebhookFailure{Code: "x"}); !errors.Is(err, broker.ErrNotHeld) {
		t.Error(err)
	}
	if s := f.webhook(t, "w"); s.Sent != 0 || len(f.events(t)) != 0 {
		t.Errorf("%+v %v", s, f.events(t))
	}
	f.settle(t, "w", "b", broker.WebhookState{Wait: time.Minute}, nil)
	held("a", false)
	f.pass(time.Minute)
	held("a", true)
	f.settle(t, "w", "a", broker.WebhookState{Wait: 99 * time.Hour}, nil)
	if s := f.webhook(t, "w"); s.Wait != broker.MaxWebhookRetry {
		t.Error(s.Wait)
	}

	// The clock was days ahead, and is set right.
	f.pass(broker.MaxWebhookRetry)
	held("a", true)
	f.settle(t, "w", "a", broker.WebhookState{}, nil)
	for _, settled := range []bool{false, true} {
		f.pass(96 * time.Hour)
		held("a", true)
		if settled {
			f.settle(t, "w", "a", broker.WebhookState{Wait: time.Hour}, nil)
		}
		f.pass(-96 * time.Hour)
		if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
			t.Fatal(changed, err)
		}
		if s := f.webhook(t, "w"); s.Busy || s.Wait != 0 {
			t.Errorf("%+v", s)
		}
		held("b", true)
		f.settle(t, "w", "b", broker.WebhookState{}, nil)
	}
}

func TestWebhookHeldByOne(t *testing.T) {
	f := newDesk(t, allowEverything)
	if err := f.OpenWebhooks(t.Context(), owner, []string{"w"}); err != nil {
		t.Fatal(err)
	}
	other, err := broker.New(f.config)
	if err != nil {
		t.Fatal(err)
	}
	var winners atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			_, held, err := []*broker.Broker{f.Broker, other}[i%2].HoldWebhook(t.Context(), owner, "w", strings.Repeat("x", i+1))
			if err != nil {
				t.Error(err)
			}
			if held {
				winners.Add(1)
			}
		})
	}
	all.Wait()
	if winners.Load() != 1 {
		t.Error(winners.Load())
	}
}

// TestGrown: who waits hears of the next event, whoever caused it here.
func TestGrown(t *testing.T) {
	f := newDesk(t, allowEverything)
	grown := f.Grown()
	select {
	case <-grown:
		t.Fatal("too early")
	default:
	}
	f.put(t, "a", vault.Change{})
	<-grown
	again := f.Grown()
	if _, err := f.Reveal(t.Context(), local, "nowhere", vault.Latest); err == nil {
		t.Fatal("revealed")
	}
	<-again
}

// TestRequestsExpireInTime: an idle desk records that nobody decided, once, and
// writes nothing while there is nothing to record.
func TestRequestsExpireInTime(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.put(t, "a", vault.Change{Tier: new(vault.Sensitive)})
	program := f.register(t, identity.NewAgent{Name: "program"})
	if _, err := f.Reveal(t.Context(), program, "a", vault.Latest); codeOf(err) != string(broker.ApprovalRequired) {
		t.Fatal(err)
	}
	before := len(f.events(t))
	expire := func(want int) {
		t.Helper()
		if err := f.ExpireApprovals(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(f.events(t)) - before; got != want {
			t.Fatalf("%d events, want %d", got, want)
		}
	}
	expire(0)
	f.pass(time.Hour)
	grown := f.Grown()
	expire(1)
	<-grown
	expire(1)
	all := f.events(t)
	if e := all[len(all)-1]; e.Event != "approval.expired" || e.Path != "a" {
		t.Errorf("%+v", e)
	}
	page, err := f.Approvals(t.Context(), owner, approval.Query{Limit: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Status != approval.Expired {
		t.Errorf("%+v %v", page, err)
	}
}
