package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/transport/webhook"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// record is a desk in memory, for tests that let days pass: the log and the rows
// of webhooks, which nobody else holds.
type record struct {
	mu     sync.Mutex
	events []audit.Record
	rows   map[string]broker.WebhookState
	due    map[string]time.Time
	failed []broker.WebhookFailure
	grown  chan struct{}

	key, reads int   // the version of the key, and how often it was read
	away       error // why the vault does not answer
	latest     bool  // it tells of no other version
}

func newRecord() *record {
	return &record{rows: map[string]broker.WebhookState{}, due: map[string]time.Time{}, grown: make(chan struct{})}
}

func (d *record) add(event string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, audit.Record{Seq: int64(len(d.events) + 1), Entry: audit.Entry{Time: time.Now(), Event: event, Outcome: audit.OK}})
	close(d.grown)
	d.grown = make(chan struct{})
}

func (d *record) Feed(_ context.Context, _ identity.Principal, after int64, limit int) ([]audit.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := d.events[min(int(after), len(d.events)):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (d *record) Grown() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.grown
}

func (d *record) OpenWebhooks(_ context.Context, _ identity.Principal, ids []string) error {
	for _, id := range ids {
		d.rows[id] = broker.WebhookState{}
	}
	return nil
}

func (d *record) Webhook(_ context.Context, _ identity.Principal, id string) (broker.WebhookState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.rows[id]
	s.Wait = max(0, time.Until(d.due[id]))
	return s, nil
}

func (d *record) HoldWebhook(ctx context.Context, who identity.Principal, id, _ string) (broker.WebhookState, bool, error) {
	s, err := d.Webhook(ctx, who, id)
	return s, s.Wait == 0, err
}

func (d *record) SettleWebhook(_ context.Context, _ identity.Principal, id, _ string, next broker.WebhookState, failed *broker.WebhookFailure) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows[id], d.due[id] = next, time.Now().Add(next.Wait)
	if failed != nil {
		d.failed = append(d.failed, *failed)
	}
	return nil
}

func (d *record) Describe(context.Context, identity.Principal, vault.Path) (vault.Metadata, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return vault.Metadata{Version: d.key}, d.away
}

func (d *record) History(ctx context.Context, who identity.Principal, path vault.Path) ([]vault.Version, error) {
	meta, err := d.Describe(ctx, who, path)
	if d.latest {
		return nil, vault.ErrUnsupported
	}
	return []vault.Version{{Number: meta.Version, Current: true}}, err
}

func (d *record) Reveal(_ context.Context, _ identity.Principal, _ vault.Path, version int) (vault.Secret, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.latest && version != vault.Latest {
		return vault.Secret{}, vault.ErrUnsupported
	}
	d.reads++
	return vault.Secret{Value: secret.New([]byte(signingKey))}, nil
}

// post answers attempts in place of a receiver.
type post func(ctx context.Context, url string) (*redeem.Response, error)

func (p post) Post(ctx context.Context, _ string, to redeem.Endpoint, _ []redeem.Field, _ []byte) (*redeem.Response, error) {
	return p(ctx, to.URL())
}

func status(n int, header ...redeem.Field) (*redeem.Response, error) {
	return &redeem.Response{Status: n, Headers: header}, nil
}

// running runs a sender until stop is called, which returns how long that took.
func running(t *testing.T, d webhook.Desk, p post, urls ...string) (stop func() time.Duration) {
	t.Helper()
	var targets []webhook.Target
	for _, u := range urls {
		targets = append(targets, webhook.Target{URL: u, Secret: keyPath, Network: []netip.Prefix{}})
	}
	s, err := webhook.New(t.Context(), d, owner, p, targets, &webhook.Options{Jitter: func() float64 { return 0 }})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return func() time.Duration {
		at := time.Now()
		cancel()
		<-done
		return time.Since(at)
	}
}

const hookURL = "https://hooks.example.com/"

// TestScheduleOfAttempts: from 5 s up to an hour apart, until the event is a day
// old; then it is given up on record, with those of its age behind it, and the
// younger one is tried next.
func TestScheduleOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRecord()
		start := time.Now()
		var at []time.Duration
		stop := running(t, d, func(context.Context, string) (*redeem.Response, error) {
			at = append(at, time.Since(start))
			return status(503)
		}, hookURL)
		d.add("secret.rotated")
		d.add("secret.read") // not of interest
		d.add("approval.requested")
		time.Sleep(20 * time.Hour)
		d.add("approval.denied")
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		stop()
		want := []time.Duration{0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 5115}
		for i, seconds := range want {
			if late := at[i] - seconds*time.Second; late < 0 || late > time.Minute {
				t.Errorf("attempt %d after %s", i, at[i])
			}
		}
		for i := len(want); i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < time.Hour || gap > time.Hour+3*time.Second {
				t.Errorf("attempt %d, %s after the one before", i, gap)
			}
		}
		if len(d.failed) != 1 || d.failed[0].First != 1 || d.failed[0].Last != 3 || d.failed[0].Events != 2 || d.failed[0].Code != "http_503" {
			t.Errorf("%+v", d.failed)
		}
		if s := d.rows[idOf(t, hookURL)]; s.Sent != 3 || s.Failures != len(at) {
			t.Errorf("%+v after %d attempts", s, len(at))
		}
	})
}

func idOf(t *testing.T, url string) string {
	t.Helper()
	e, err := redeem.ParseEndpoint(url, nil)
	must(t, err)
	return webhook.ID(e)
}

// TestMalformedIsGivenUp: an event that the receiver will not have does not hold
// up the others for a day.
func TestMalformedIsGivenUp(t *testing.T) {
	for _, code := range []int{400, 413, 415, 422} {
		synctest.Test(t, func(t *testing.T) {
			d, n := newRecord(), 0
			stop := running(t, d, func(context.Context, string) (*redeem.Response, error) {
				if n++; n <= 10 {
					return status(code)
				}
				return status(200)
			}, hookURL)
			d.add("secret.rotated")
			d.add("secret.rotated")
			time.Sleep(2 * time.Hour)
			stop()
			if n != 11 || len(d.failed) != 1 || d.failed[0].Last != 1 || d.failed[0].Code != fmt.Sprint("http_", code) || d.rows[idOf(t, hookURL)].Sent != 2 {
				t.Errorf("%d attempts, %+v, %+v", n, d.failed, d.rows)
			}
		})
	}
}

// TestRetryAfter: a receiver may ask for a longer wait, within bounds.
func TestRetryAfter(t *testing.T) {
	for asked, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "0": 5 * time.Second, "-1": 5 * time.Second, "soon": 5 * time.Second, "99999999": 6 * time.Hour,
		"99999999999999999999": 5 * time.Second,
		time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC).Format(http.TimeFormat): 10 * time.Minute, // synctest begins at midnight
		time.Date(1999, 1, 1, 0, 10, 0, 0, time.UTC).Format(http.TimeFormat): 5 * time.Second,
	} {
		t.Run(asked, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newRecord()
				var at []time.Time
				stop := running(t, d, func(context.Context, string) (*redeem.Response, error) {
					if at = append(at, time.Now()); len(at) == 1 {
						return status(429, redeem.Field{Name: "Retry-After", Value: asked})
					}
					return status(200)
				}, hookURL)
				d.add("secret.rotated")
				time.Sleep(7 * time.Hour)
				stop()
				if gap := at[1].Sub(at[0]); len(at) != 2 || gap < want || gap > want+3*time.Second {
					t.Errorf("%d attempts, %s apart", len(at), gap)
				}
			})
		})
	}
}

// TestOneThatHangs is left after 15 s, and holds up no other webhook.
func TestOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRecord()
		const other = "https://other.example.com/"
		var mu sync.Mutex
		sent := map[string][]time.Duration{}
		start := time.Now()
		stop := running(t, d, func(ctx context.Context, url string) (*redeem.Response, error) {
			mu.Lock()
			sent[url] = append(sent[url], time.Since(start))
			mu.Unlock()
			if url == hookURL {
				<-ctx.Done()
				return nil, &redeem.Upstream{Code: redeem.CodeTimeout}
			}
			return status(200)
		}, hookURL, other)
		for range 5 {
			d.add("secret.rotated")
		}
		time.Sleep(30 * time.Second)
		stop()
		mu.Lock()
		defer mu.Unlock()
		if at := sent[hookURL]; len(at) != 2 || at[1] < 20*time.Second || at[1] > 23*time.Second {
			t.Error(at)
		}
		if at := sent[other]; len(at) != 5 || at[4] > time.Second {
			t.Error(at)
		}
	})
}

// TestStopping lets an attempt under way end, not for long, and begins no other;
// what was cut off counts neither as sent nor as failed.
func TestStopping(t *testing.T) {
	for name, c := range map[string]struct {
		takes, stops time.Duration
		sent         int64
	}{
		"it ends":  {3 * time.Second, 3 * time.Second, 1},
		"it hangs": {time.Hour, 5 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, n, begun := newRecord(), 0, make(chan struct{}, 2)
				stop := running(t, d, func(ctx context.Context, _ string) (*redeem.Response, error) {
					n++
					begun <- struct{}{}
					select {
					case <-time.After(c.takes):
						return status(200)
					case <-ctx.Done():
						return nil, &redeem.Upstream{Code: redeem.CodeCanceled}
					}
				}, hookURL)
				d.add("secret.rotated")
				d.add("secret.rotated")
				<-begun
				if took := stop(); took != c.stops {
					t.Error(took)
				}
				if s := d.rows[idOf(t, hookURL)]; n != 1 || s.Sent != c.sent || s.Failures != 0 {
					t.Errorf("%d attempts, %+v", n, s)
				}
			})
		})
	}
}

// TestUninterestingEventsMoveTheCursor, so that the next start does not read them.
func TestUninterestingEventsMoveTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRecord()
		stop := running(t, d, func(context.Context, string) (*redeem.Response, error) { return status(200) }, hookURL)
		for range 25_000 {
			d.add("secret.read")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		d.mu.Lock()
		while := d.rows[idOf(t, hookURL)].Sent
		d.mu.Unlock()
		stop()
		if end := d.rows[idOf(t, hookURL)].Sent; while < 10_000 || end != 25_000 {
			t.Errorf("%d, then %d", while, end)
		}
	})
}

// TestEventsOfWebhooksAreNotSent: they would go round in circles.
func TestEventsOfWebhooksAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, n := newRecord(), 0
		s, err := webhook.New(t.Context(), d, owner, post(func(context.Context, string) (*redeem.Response, error) { n++; return status(200) }),
			[]webhook.Target{{URL: hookURL, Secret: keyPath, Events: []vault.Glob{"*"}}}, nil)
		must(t, err)
		d.add("webhook.failed")
		d.add("agent.created")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.Run(ctx)
		if n != 1 {
			t.Error(n)
		}
	})
}

// TestKeyIsReadWhenItChanges, and not for each message: every reading stands on
// record.
func TestKeyIsReadWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRecord()
		stop := running(t, d, func(context.Context, string) (*redeem.Response, error) { return status(200) }, hookURL)
		for range 20 {
			d.add("secret.rotated")
		}
		time.Sleep(10 * time.Second)
		d.mu.Lock()
		if d.reads != 1 {
			t.Errorf("read %d times", d.reads)
		}
		d.key++
		d.mu.Unlock()
		d.add("secret.rotated")
		time.Sleep(10 * time.Second)
		stop()
		if d.reads != 2 {
			t.Errorf("read %d times", d.reads)
		}
	})
}

// TestAVaultWithoutHistory signs with the latest key, and follows when it changes.
func TestAVaultWithoutHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRecord()
		d.latest = true
		sent := 0
		stop := running(t, d, func(context.Context, string) (*redeem.Response, error) { sent++; return status(200) }, hookURL)
		d.add("secret.rotated")
		time.Sleep(10 * time.Second)
		d.mu.Lock()
		d.key++
		d.mu.Unlock()
		d.add("secret.rotated")
		time.Sleep(10 * time.Second)
		stop()
		if sent != 2 || d.reads != 2 {
			t.Errorf("sent %d, key read %d times", sent, d.reads)
		}
	})
}

// TestAVaultThatIsAway at the start keeps no desk from serving: what happens is told
// when the vault is back. One that refuses for good does.
func TestAVaultThatIsAway(t *testing.T) {
	for name, away := range map[string]error{
		"unreachable": fmt.Errorf("%w: no route", vault.ErrUnreachable),
		"busy":        &vault.RefusedError{Code: "RATE_LIMITED", RetryAfter: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newRecord()
				d.away = away
				var sent atomic.Int32
				stop := running(t, d, func(context.Context, string) (*redeem.Response, error) { sent.Add(1); return status(200) }, hookURL, hookURL+"2")
				d.add("secret.rotated")
				time.Sleep(10 * time.Second)
				d.mu.Lock()
				if sent.Load() != 0 || d.reads != 0 {
					t.Errorf("sent %d, key read %d times", sent.Load(), d.reads)
				}
				d.away = nil
				d.mu.Unlock()
				time.Sleep(time.Hour)
				stop()
				if sent.Load() != 2 || d.reads != 2 || len(d.failed) != 0 {
					t.Errorf("sent %d, key read %d times, %+v given up", sent.Load(), d.reads, d.failed)
				}
			})
		})
	}
	d := newRecord()
	d.away = &vault.RefusedError{Code: "FORBIDDEN"}
	if _, err := webhook.New(t.Context(), d, owner, nil, []webhook.Target{{URL: hookURL, Secret: keyPath}}, nil); !errors.Is(err, d.away) {
		t.Errorf("refused for good: %v", err)
	}
}

// overtaken is a desk on which another sender is faster with the first event.
type overtaken struct{ *record }

func (d overtaken) HoldWebhook(ctx context.Context, who identity.Principal, id, holder string) (broker.WebhookState, bool, error) {
	d.mu.Lock()
	d.rows[id] = broker.WebhookState{Sent: max(1, d.rows[id].Sent)}
	d.mu.Unlock()
	return d.record.HoldWebhook(ctx, who, id, holder)
}

// TestAnotherWasFaster: what is found sent once the lease is taken is not repeated.
func TestAnotherWasFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, n := overtaken{newRecord()}, 0
		d.add("secret.rotated")
		d.add("secret.rotated")
		stop := running(t, d, func(context.Context, string) (*redeem.Response, error) { n++; return status(200) }, hookURL)
		time.Sleep(10 * time.Second)
		stop()
		if s := d.rows[idOf(t, hookURL)]; n != 1 || s.Sent != 2 {
			t.Errorf("%d messages, %+v", n, s)
		}
	})
}
