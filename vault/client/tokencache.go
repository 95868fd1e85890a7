package client

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const (
	maxTokens   = 256             // kept; the oldest go first
	maxRequests = 256             // remembered; the oldest go first
	spare       = 5 * time.Second // a token is not used for its last seconds, as in the published SDK
)

// held is a token that the client fetched for itself.
type held struct {
	value   secret.Value
	scopes  []string
	expires time.Time
}

// covers reports whether a token's scopes allow one that has no star but
// perhaps at its end: "*" matches any run of characters in edition B too.
func (h held) covers(scope string) bool {
	return slices.ContainsFunc(h.scopes, func(s string) bool { return vault.Glob(s).Match(scope) })
}

// tokens are those that edition B reaches secrets with. The zero value is ready.
type tokens struct {
	mu  sync.Mutex
	all []held
}

// find returns a token that covers a scope for some seconds more.
func (t *tokens) find(scope string, now time.Time) (held, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = slices.DeleteFunc(t.all, func(h held) bool { return !h.expires.After(now.Add(spare)) })
	i := slices.IndexFunc(t.all, func(h held) bool { return h.covers(scope) })
	if i < 0 {
		return held{}, false
	}
	return t.all[i], true
}

func (t *tokens) add(h held) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) >= maxTokens {
		t.all = slices.Delete(t.all, 0, 1)
	}
	t.all = append(t.all, h)
}

// drop forgets every token that covers a scope: the next one is a new one.
func (t *tokens) drop(scope string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = slices.DeleteFunc(t.all, func(h held) bool { return h.covers(scope) })
}

// scoped returns a token for a scope, one from before if there is any.
func (c *Client) scoped(ctx context.Context, scope string) (_ secret.Value, cached bool, err error) {
	if h, ok := c.tokens.find(scope, time.Now()); ok {
		return h.value, true, nil
	}
	t, err := c.RequestToken(ctx, TokenOptions{Scope: scope})
	if err != nil {
		return secret.Value{}, false, err
	}
	switch t.ApprovalStatus {
	case Pending:
		c.requests.keep(t.ApprovalRequestID, asked{TokenOptions{Scope: scope}, true})
		return secret.Value{}, false, waiting(http.StatusAccepted, t.ApprovalRequestID)
	case Denied:
		return secret.Value{}, false, denied(scope)
	case Approved:
	}
	c.tokens.add(held{t.Value, t.Scopes, t.ExpiresAt})
	return t.Value, false, nil
}

// asked is a request for a token.
type asked struct {
	opts TokenOptions
	own  bool // the client asked by itself, for a call that is to be made again
}

// requests remembers what was asked for under which approval, so that the token
// can be asked for again once it is granted (CONTRACT §18 R7).
type requests struct {
	mu    sync.Mutex
	ids   []string
	asked map[string]asked
}

func (r *requests) keep(id string, a asked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[string]asked{}
	}
	if _, known := r.asked[id]; !known {
		r.ids = append(r.ids, id)
	}
	if r.asked[id] = a; len(r.ids) > maxRequests {
		delete(r.asked, r.ids[0])
		r.ids = r.ids[1:]
	}
}

func (r *requests) find(id string) (a asked, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, known = r.asked[id]
	return a, known
}
