package mcp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/lines"
)

// grace is how long calls that were told to stop are waited for.
const grace = time.Second

// ServeStdio serves one client that writes messages to in and reads answers
// from out, one to a line, as who. It returns nil at the end of the input, once
// every call in flight has been answered, and after ctx has ended, once they
// have been or [Options.Drain] is over. Other errors are those of in and out.
//
// A goroutine that is blocked reading from in when ctx ends stays until the
// read returns; whoever owns in closes it.
func (s *Server) ServeStdio(ctx context.Context, who identity.Principal, in io.Reader, out io.Writer) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	c := &connection{
		Server: s, who: who, out: lines.NewWriter(out), calls: newInflight(), asks: &asks{}, pool: lines.NewPool(s.MaxCalls),
		session: newSession("stdio-" + rand.Text()),
	}
	work = withPeer(s.core.WithContext(withPrincipal(work, who), c.session), c)

	finished := make(chan error, 1)
	go func() { finished <- c.read(work, lines.NewReader(in, s.MaxMessageBytes)) }()
	var err error
	select {
	case err = <-finished:
		c.asks.close() // no answer can come in any more
	case <-ctx.Done():
	}
	c.pool.Close()
	if drained := c.drain(ctx, stop); err == nil {
		err = drained
	}
	return err
}

// connection is one client on stdio.
type connection struct {
	*Server
	who     identity.Principal
	out     *lines.Writer
	calls   *inflight
	asks    *asks
	pool    *lines.Pool
	session *session
}

// drain waits for the calls in flight and for what they write. Once ctx has
// ended they have [Options.Drain] left; then they are stopped.
func (c *connection) drain(ctx context.Context, stop func()) error {
	quiet := make(chan error, 1)
	go func() {
		c.pool.Wait()
		quiet <- c.out.Flush()
	}()
	select {
	case err := <-quiet:
		return err
	case <-ctx.Done():
	}
	for _, patience := range []time.Duration{c.Drain, grace} {
		select {
		case err := <-quiet:
			return err
		case <-time.After(patience):
			stop()
		}
	}
	c.Log.WarnContext(ctx, "calls did not stop in time")
	return nil
}

// read takes in messages until there are no more. Calls run beside it; all else
// is answered here, in order.
func (c *connection) read(ctx context.Context, from *lines.Reader) error {
	for {
		line, err := from.Next()
		switch {
		case errors.Is(err, lines.ErrTooLong):
			text := fmt.Sprintf("the message is longer than %d bytes", c.MaxMessageBytes)
			err = c.send(rpcError(nil, envelope.InvalidRequest, text))
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("mcp: reading: %w", err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		default:
			if err = c.out.Broken(); err == nil {
				err = c.take(ctx, line)
			}
		}
		if errors.Is(err, errClosing) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("mcp: writing: %w", err)
		}
	}
}

// errClosing ends the reading without being an error of the connection.
var errClosing = errors.New("no more messages are taken")

// take deals with one message, or sees that it is dealt with.
func (c *connection) take(ctx context.Context, line []byte) error {
	m, bad := envelope.Check(line)
	switch {
	case bad != nil:
		return c.send(refused(bad))
	case m.Kind == envelope.Response:
		c.asks.answer(m.ID, line)
		return nil
	case m.Kind == envelope.Batch:
		return c.beside(line, func() { c.batch(ctx, line) })
	case m.Kind == envelope.Request && slow(m):
		ctx, one, ok := c.calls.start(ctx, m.ID)
		if !ok {
			return c.send(rpcError(m.ID, envelope.InvalidRequest, "a request with this id is not yet answered"))
		}
		return c.beside(line, func() { c.run(ctx, one, m, line) })
	case m.Kind == envelope.Notification:
		c.notified(ctx, m, line)
		return nil
	default:
		return c.respond(c.handle(ctx, m, line))
	}
}

// slow tells requests that may take long from those that only look something up.
func slow(m envelope.Message) bool {
	return string(m.Method) == string(mcp.MethodToolsCall) || string(m.Method) == string(mcp.MethodSubscriptionsListen)
}

// notified acts on a notification. Cancellations are our own: mcp-go tells calls
// apart by the text of the id, so that 1 and "1" are one to it.
func (c *connection) notified(ctx context.Context, m envelope.Message, line []byte) {
	if string(m.Method) == string(mcp.MethodNotificationCancelled) {
		c.calls.cancel(m.RequestID)
		return
	}
	c.handle(ctx, m, line)
}

// beside has fn run once there is room for one more message.
func (c *connection) beside(line []byte, fn func()) error {
	if !c.pool.Do(len(line), fn) {
		return errClosing
	}
	return nil
}

// run makes one call and sends its answer, unless the client no longer wants it.
func (c *connection) run(ctx context.Context, one *call, m envelope.Message, line []byte) {
	who := c.who
	if who.Client == "" {
		who.Client = load(&c.session.label)
	}
	var direct []byte
	var answer mcp.JSONRPCMessage
	if ctx.Err() != nil {
		answer = rpcError(m.ID, mcp.REQUEST_INTERRUPTED, "the server is stopping")
	} else if text, done := c.direct(ctx, who, m); done {
		direct = append(text, '\n')
	} else {
		answer = c.handle(ctx, m, line)
	}
	switch wanted := c.calls.finish(m.ID, one); {
	case !wanted:
	case direct != nil:
		c.failed(ctx, c.out.Send(direct))
	default:
		c.failed(ctx, c.respond(answer))
	}
}

// failed logs that an answer could not be sent. Reading ends with the next
// message, by the same error.
func (c *connection) failed(ctx context.Context, err error) {
	if err != nil {
		c.Log.WarnContext(ctx, "answer not sent", slog.String("cause", kinds(err)))
	}
}

// respond sends answer, and before it the notifications that belong to it.
func (c *connection) respond(answer mcp.JSONRPCMessage) error {
	for {
		select {
		case n := <-c.session.notifications:
			if err := c.send(n); err != nil {
				return err
			}
			continue
		default:
		}
		if answer == nil {
			return nil
		}
		return c.send(answer)
	}
}

// send writes one message and the newline.
func (c *connection) send(message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return c.out.Send(append(text, '\n'))
}
