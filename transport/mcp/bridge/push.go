package bridge

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"time"
)

// Times between two attempts to have the GET stream.
const (
	pushSoon = time.Second // unless the desk asks for another
	pushLate = 30 * time.Second
)

// opened notes that the client has its session and asks the desk for the stream
// of what it says without being asked.
func (b *Bridge) opened(ctx context.Context) {
	s := &b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hello == nil || s.over {
		return
	}
	s.ready = true
	if s.endPush != nil {
		s.endPush()
	}
	ctx, s.endPush = context.WithCancel(ctx)
	s.pushes.Go(func() { b.push(ctx) })
}

// push keeps the stream until the desk says that there is none.
func (b *Bridge) push(ctx context.Context) {
	lastID, wait := "", pushSoon
	for ctx.Err() == nil {
		now := b.session.current()
		from, status := b.listen(ctx, now, lastID)
		switch {
		case from != nil:
			lastID, wait = b.relay(ctx, from), pushSoon
			if from.retry > 0 {
				wait = min(from.retry, pushLate)
			}
		case status == http.StatusNotFound && now.id != "":
			lastID = ""
			if bad := b.renew(ctx, now); bad == nil {
				wait = firstWait
			}
		case status != 0 && status != http.StatusTooManyRequests && status < http.StatusInternalServerError:
			return // 405: nothing is ever pushed; 401: not to us
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, pushLate)
	}
}

// listen opens the stream; nil with the status that there was instead, 0 for none.
func (b *Bridge) listen(ctx context.Context, now agreed, lastID string) (*pushed, int) {
	req, err := b.desk.request(ctx, http.MethodGet, "/mcp", nil)
	if err != nil {
		return nil, 0
	}
	req.Header.Set("Accept", "text/event-stream")
	if now.id != "" {
		req.Header.Set(headerSession, now.id)
	}
	req.Header.Set(headerVersion, now.version)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := b.desk.do(req)
	if err != nil {
		return nil, 0
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err == nil && res.StatusCode == http.StatusOK && kind == "text/event-stream" {
		return &pushed{newEvents(res.Body, b.MaxAnswerBytes), res}, res.StatusCode
	}
	_ = res.Body.Close() // nothing of it is wanted
	if res.StatusCode < 300 {
		return nil, http.StatusMethodNotAllowed
	}
	return nil, res.StatusCode
}

// pushed is an open stream.
type pushed struct {
	*events
	res *http.Response
}

// relay passes on what the stream brings until it ends, and returns the id of its
// last event. Answers belong to the POST of their question and are left out.
func (b *Bridge) relay(ctx context.Context, from *pushed) (lastID string) {
	defer from.res.Body.Close() //nolint:errcheck // it has ended
	for {
		text, err := from.next()
		if err != nil {
			return from.lastID
		}
		m, err := readMessage(text)
		if err != nil || m.isAnswer() {
			b.Log.WarnContext(ctx, "what was pushed is no message for the client", slog.Bool("answer", err == nil))
			continue
		}
		b.pass(ctx, m.text)
	}
}
