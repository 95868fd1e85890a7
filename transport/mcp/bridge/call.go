package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// maxRenewals is how often a session is opened anew for one message: a desk that
// forgets it at once is not asked for ever.
const maxRenewals = 3

// maxRefusal is how much of a body that is no answer is looked at.
const maxRefusal = 64 << 10

// ask sends a request or a batch and sees that each of its ids has an answer.
func (b *Bridge) ask(ctx context.Context, c *call) {
	if c.opens() { // nothing is read until it is answered
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, shortTime)
		defer cancel()
	}
	bad := b.attempt(ctx, c)
	if bad == nil {
		return
	}
	if c.looksUp() {
		bad.done = "" // whether it was done makes no difference
	}
	b.Log.WarnContext(ctx, "no answer from the desk", slog.String("code", bad.code))
	for _, id := range c.ids {
		if !c.answered[string(id)] && b.calls.release(id) {
			b.pass(ctx, bad.line(id))
		}
	}
}

// tell sends what has no answer.
func (b *Bridge) tell(ctx context.Context, c *call) {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	if bad := b.attempt(ctx, c); bad != nil {
		b.Log.WarnContext(ctx, "the desk did not take a message", slog.String("code", bad.code))
	}
}

// attempt sends c until it was dealt with or must not or need not be sent again.
func (b *Bridge) attempt(ctx context.Context, c *call) (bad *fault) {
	defer func() {
		if bad == nil {
			b.verdict.good()
		} else {
			b.verdict.bad(bad.cause)
		}
	}()
	giveUp, renewals := time.Now().Add(b.Patience), 0
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		now := b.session.current()
		if bad = b.exchange(ctx, c, now); bad == nil {
			return nil
		}
		if bad.again == renewed && c.outlives() && renewals < maxRenewals {
			renewals++
			lost := bad
			if bad = b.renew(ctx, now); bad == nil {
				bad = lost // for the last time
				continue
			}
		}
		fine := bad.again == later || bad.again == lookups && c.looksUp() && !c.spoken
		if !fine || time.Now().Add(wait).After(giveUp) {
			return bad
		}
		select {
		case <-ctx.Done():
			return bad
		case <-time.After(wait):
		}
	}
}

// outlives tells messages that mean something in another session too. Answers to
// the desk's requests, and cancellations, went with the old one.
func (c *call) outlives() bool {
	return c.m.Kind != envelope.Response && string(c.m.Method) != "notifications/cancelled"
}

// exchange posts c once and passes on what comes back.
func (b *Bridge) exchange(ctx context.Context, c *call, now agreed) *fault {
	req, err := b.desk.request(ctx, http.MethodPost, "/mcp", c.line)
	if err != nil {
		return b.desk.unsent(notSent{err})
	}
	b.session.headers(req.Header, c.m, now)
	res, err := b.desk.do(req)
	if err != nil {
		return b.desk.unsent(err)
	}
	defer res.Body.Close() //nolint:errcheck // all that is wanted of it has been read
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode >= 300:
		return b.refusal(ctx, c, res, req.Header.Get(headerSession) != "")
	case len(c.ids) == 0:
		return nil
	case err == nil && kind == "application/json":
		return b.whole(ctx, c, res)
	case err == nil && kind == "text/event-stream":
		return b.stream(ctx, c, res)
	default:
		return garbled("is missing")
	}
}

// whole passes on a body of JSON: one message, or the answers to a batch.
func (b *Bridge) whole(ctx context.Context, c *call, res *http.Response) *fault {
	text, err := io.ReadAll(io.LimitReader(res.Body, int64(b.MaxAnswerBytes)+1))
	switch {
	case err != nil:
		return b.desk.unsent(err)
	case len(text) > b.MaxAnswerBytes:
		return garbled("is too long")
	}
	parts := []json.RawMessage{text}
	if bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte{'['}) && json.Unmarshal(text, &parts) != nil {
		return garbled("is not JSON-RPC")
	}
	for _, part := range parts {
		if bad := b.deliver(ctx, c, res.Header, part); bad != nil {
			return bad
		}
	}
	if !c.settled() {
		return garbled("is to something else")
	}
	return nil
}

// stream passes on the messages of a stream until all answers are there.
func (b *Bridge) stream(ctx context.Context, c *call, res *http.Response) *fault {
	from := newEvents(res.Body, b.MaxAnswerBytes)
	for !c.settled() {
		text, err := from.next()
		switch {
		case errors.Is(err, io.EOF):
			return b.desk.unsent(io.ErrUnexpectedEOF)
		case errors.Is(err, errEventTooLong):
			return garbled("is too long")
		case err != nil:
			return b.desk.unsent(err)
		}
		if bad := b.deliver(ctx, c, res.Header, text); bad != nil {
			return bad
		}
	}
	return nil
}

// deliver passes on one message that came for c.
func (b *Bridge) deliver(ctx context.Context, c *call, header http.Header, text []byte) *fault {
	m, err := readMessage(text)
	if err != nil {
		return garbled("is not JSON-RPC")
	}
	if !m.isAnswer() {
		if !c.silent {
			c.spoken = true
			b.pass(ctx, m.text)
		}
		return nil
	}
	id := c.waiting(m.id)
	if id == nil {
		b.Log.WarnContext(ctx, "an answer to nothing that was asked was dropped")
		return nil
	}
	c.settle(id)
	if c.opens() && m.result != nil {
		hello := c
		if c.silent {
			hello = nil
		}
		c.agreed = b.session.agree(hello, header, m.result)
	}
	if !c.silent && b.calls.release(id) {
		c.spoken = true
		b.pass(ctx, m.text)
	}
	return nil
}

// refusal judges an answer that is no success. An error that the desk has put as
// JSON-RPC is passed on, under the id that was asked for.
func (b *Bridge) refusal(ctx context.Context, c *call, res *http.Response, session bool) *fault {
	text, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil {
		text = nil // the status says enough
	}
	var own struct {
		Error struct {
			Code any `json:"code"`
		} `json:"error"`
	}
	code := ""
	if json.Unmarshal(text, &own) == nil {
		code, _ = own.Error.Code.(string)
	}
	bad := b.desk.refused(res.StatusCode, code, session)
	if bad.again == renewed || res.StatusCode == http.StatusUnauthorized || code != "" || len(c.ids) != 1 {
		return bad
	}
	m, err := readMessage(text)
	if err != nil || m.failed == nil || m.id != nil && !sameID(m.id, c.ids[0]) {
		return bad
	}
	c.settle(c.ids[0])
	if !c.silent && b.calls.release(c.ids[0]) {
		c.spoken = true
		b.pass(ctx, bytes.Join([][]byte{[]byte(`{"jsonrpc":"2.0","id":`), c.ids[0], []byte(`,"error":`), compact(m.failed), {'}'}}, nil))
	}
	return nil
}

// pass writes a message to the client. Reading ends with the next message when it
// could not be written.
func (b *Bridge) pass(ctx context.Context, text []byte) {
	if err := b.send(text); err != nil {
		b.Log.WarnContext(ctx, "a message was not written")
	}
}
