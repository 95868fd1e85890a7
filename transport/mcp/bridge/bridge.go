package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/lines"
)

// Options of a [Bridge]. A zero field means the default beside it; a negative
// Patience means none.
type Options struct {
	Log             *slog.Logger  // nil: nothing is logged
	MaxMessageBytes int           // bytes of one message to the bridge (`mcp --server`); 4 MiB; refused
	MaxAnswerBytes  int           // bytes of one message that the bridge is sent by the desk; 16 MiB; refused
	MaxCalls        int           // calls of one bridge that run at once; 48; they wait, up to 256
	Drain           time.Duration // for calls of a bridge after a shutdown began; 10 s; they are cancelled
	Patience        time.Duration // for a desk that is away or busy to take a bridge's message; 3 s; an error says what to do
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	for _, n := range []struct {
		at       *int
		standard int
	}{{&out.MaxMessageBytes, 4 << 20}, {&out.MaxAnswerBytes, 16 << 20}, {&out.MaxCalls, 48}} {
		if *n.at <= 0 {
			*n.at = n.standard
		}
	}
	if out.Drain <= 0 {
		out.Drain = 10 * time.Second
	}
	if out.Patience == 0 {
		out.Patience = 3 * time.Second
	}
	return out
}

const (
	grace     = time.Second     // how long calls that were told to stop are waited for
	goodbye   = 5 * time.Second // for deleting the session
	firstWait = 50 * time.Millisecond
	longWait  = time.Second
	sideCalls = 8 // notifications and answers of the client under way at once
)

// Bridge serves one client with what one desk says. Serve it once.
type Bridge struct {
	Options
	desk    *Remote
	session session
	calls   *inflight
	out     *lines.Writer
	pool    *lines.Pool // requests
	side    *lines.Pool // what must not wait behind them
	verdict verdict
}

// New returns a bridge to desk.
func New(desk *Remote, opts *Options) *Bridge {
	o := opts.withDefaults()
	return &Bridge{Options: o, desk: desk, calls: newInflight(), pool: lines.NewPool(o.MaxCalls), side: lines.NewPool(sideCalls)}
}

// Serve reads the client's messages from in and writes to out, one to a line. It
// ends at the end of the input, once every call has its answer, and after ctx has
// ended, once they have or [Options.Drain] is over; then the session is deleted.
// It returns nil if the desk was of use, else [ErrUnreachable], [ErrKeyRefused],
// [ErrTurnedAway], [ErrUntrusted], [ErrNoAnswer] or what is wrong with the socket;
// and errors of in and out.
//
// A goroutine that is blocked reading from in when ctx ends stays until the read
// returns; whoever owns in closes it.
func (b *Bridge) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	defer b.desk.Close()
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	b.out = lines.NewWriter(out)
	finished := make(chan error, 1)
	go func() { finished <- b.read(work, lines.NewReader(in, b.MaxMessageBytes)) }()
	var err error
	select {
	case err = <-finished:
	case <-ctx.Done():
	}
	b.pool.Close()
	if drained := b.drain(ctx, stop); err == nil {
		err = drained
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	b.endSession(last)
	stop()
	b.session.pushes.Wait()
	if err == nil {
		err = b.verdict.error()
	}
	return err
}

// drain waits for the calls in flight and for what they write. Once ctx has
// ended they have [Options.Drain] left; then they are stopped.
func (b *Bridge) drain(ctx context.Context, stop func()) error {
	quiet := make(chan error, 1)
	go func() {
		b.pool.Wait()
		b.side.Close() // calls may have waited for what it carries
		b.side.Wait()
		quiet <- b.out.Flush()
	}()
	select {
	case err := <-quiet:
		return err
	case <-ctx.Done():
	}
	for _, patience := range []time.Duration{b.Drain, grace} {
		select {
		case err := <-quiet:
			return err
		case <-time.After(patience):
			stop()
		}
	}
	b.Log.WarnContext(ctx, "calls did not stop in time")
	return nil
}

// read takes in messages until there are no more.
func (b *Bridge) read(ctx context.Context, from *lines.Reader) error {
	for {
		line, err := from.Next()
		switch {
		case errors.Is(err, lines.ErrTooLong):
			text := fmt.Sprintf("the message is longer than %d bytes", b.MaxMessageBytes)
			err = b.send(errorLine(nil, envelope.InvalidRequest, text, nil))
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("bridge: reading: %w", err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		default:
			if err = b.out.Broken(); err == nil {
				err = b.take(ctx, line)
			}
		}
		if errors.Is(err, errClosing) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("bridge: writing: %w", err)
		}
	}
}

// errClosing ends the reading without being an error of the connection.
var errClosing = errors.New("no more messages are taken")

// take sees that one message is dealt with. What the messages after it depend on
// is waited for.
func (b *Bridge) take(ctx context.Context, line []byte) error {
	m, bad := envelope.Check(line)
	if bad != nil {
		return b.send(errorLine(bad.ID, bad.Code, bad.Text, nil))
	}
	one := &call{m: m, line: line}
	switch m.Kind {
	case envelope.Response:
		return beside(b.side, line, func() { b.tell(ctx, one) })
	case envelope.Notification:
		return b.notified(ctx, one)
	case envelope.Request:
		one.ids = [][]byte{m.ID}
	case envelope.Batch:
		var err *envelope.Error
		if one.ids, err = batchIDs(line); err != nil {
			return b.send(errorLine(nil, err.Code, err.Text, nil))
		}
	}
	ctx, ok := b.calls.start(ctx, one)
	if !ok {
		return b.send(errorLine(m.ID, envelope.InvalidRequest, "a request with this id is not yet answered", nil))
	}
	done := make(chan struct{})
	err := beside(b.pool, line, func() {
		defer close(done)
		defer b.calls.finish(one)
		b.ask(ctx, one)
	})
	if err == nil && one.opens() {
		<-done
	}
	return err
}

// notified passes a notification on. A cancellation overtakes the calls; of the
// rest each is taken by the desk before the next message is read.
func (b *Bridge) notified(ctx context.Context, one *call) error {
	if string(one.m.Method) == "notifications/cancelled" {
		cancelled := b.calls.cancel(one.m.RequestID)
		if cancelled == nil {
			return nil // it has its answer
		}
		if isModern(string(cancelled.m.Version)) {
			cancelled.end()
		}
		return beside(b.side, one.line, func() {
			b.tell(ctx, one)
			cancelled.end()
		})
	}
	done := make(chan struct{})
	err := beside(b.side, one.line, func() {
		defer close(done)
		b.tell(ctx, one)
	})
	if err != nil {
		return err
	}
	<-done
	if string(one.m.Method) == "notifications/initialized" {
		b.opened(ctx)
	}
	return nil
}

func beside(pool *lines.Pool, line []byte, fn func()) error {
	if !pool.Do(len(line), fn) {
		return errClosing
	}
	return nil
}

// send writes one message.
func (b *Bridge) send(text []byte) error {
	return b.out.Send(append(slices.Clip(text), '\n'))
}
