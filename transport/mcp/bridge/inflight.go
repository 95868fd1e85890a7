package bridge

import (
	"context"
	"sync"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// call is a message of the client on its way.
type call struct {
	m    envelope.Message
	line []byte
	ids  [][]byte // of the answers it wants, as written

	silent bool // the client did not send it and hears nothing of it
	end    context.CancelFunc

	// Only the goroutine that asks for it uses these.
	answered map[string]bool
	spoken   bool // something of its answer has gone out
	agreed   bool // an initialize: there is a session
}

// opens tells an initialize, which opens a session.
func (c *call) opens() bool {
	return c.m.Kind == envelope.Request && string(c.m.Method) == "initialize" && !isModern(string(c.m.Version))
}

// looksUp tells methods that change nothing, so that they can be asked twice.
func (c *call) looksUp() bool {
	switch string(c.m.Method) {
	case "initialize", "ping", "server/discover", "tools/list", "resources/list", "resources/templates/list", "resources/read",
		"prompts/list", "prompts/get", "completion/complete", "logging/setLevel", "subscriptions/listen":
		return c.m.Kind == envelope.Request
	default:
		return false
	}
}

// waiting returns the id that an answer is for, as the client wrote it, or nil.
func (c *call) waiting(id []byte) []byte {
	for _, mine := range c.ids {
		if id != nil && !c.answered[string(mine)] && sameID(mine, id) {
			return mine
		}
	}
	return nil
}

func (c *call) settled() bool { return len(c.answered) == len(c.ids) }

func (c *call) settle(id []byte) {
	if c.answered == nil {
		c.answered = map[string]bool{}
	}
	c.answered[string(id)] = true
}

// batchIDs returns the ids of the requests in a batch.
func batchIDs(line []byte) (ids [][]byte, bad *envelope.Error) {
	parts, bad := envelope.Split(line)
	if bad != nil {
		return nil, bad
	}
	for _, part := range parts {
		if m, err := envelope.Check(part); err == nil && m.Kind == envelope.Request {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

// inflight are the calls that want answers, by id as written, which tells 1
// from "1".
type inflight struct {
	mu   sync.Mutex
	byID map[string]*flight
}

type flight struct {
	of        *call
	cancelled bool // the client wants no answer
}

func newInflight() *inflight { return &inflight{byID: map[string]*flight{}} }

// start makes c one that can be cancelled; false when one of its ids is taken.
func (f *inflight) start(ctx context.Context, c *call) (context.Context, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine := map[string]bool{}
	for _, id := range c.ids {
		if f.byID[string(id)] != nil || mine[string(id)] {
			return ctx, false
		}
		mine[string(id)] = true
	}
	ctx, c.end = context.WithCancel(ctx)
	for id := range mine {
		f.byID[id] = &flight{of: c}
	}
	return ctx, true
}

// finish ends what start started.
func (f *inflight) finish(c *call) {
	c.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range c.ids {
		if one := f.byID[string(id)]; one != nil && one.of == c {
			delete(f.byID, string(id))
		}
	}
}

// release is called before an answer goes out, after which the client may use
// its id again. It reports whether the client still wants the answer.
func (f *inflight) release(id []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.byID[string(id)]
	delete(f.byID, string(id))
	return one != nil && !one.cancelled
}

// cancel notes that the client wants no answer with that id, and returns the
// call that it was to be the answer of, or nil. A batch does not end with one of
// its calls; for that there is a call in its place that cannot be ended.
func (f *inflight) cancel(id []byte) *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.byID[string(id)]
	if one == nil || one.cancelled {
		return nil
	}
	one.cancelled = true
	if one.of.m.Kind == envelope.Batch {
		return &call{m: one.of.m, end: func() {}}
	}
	return one.of
}
