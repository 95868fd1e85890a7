package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Bounds of /readyz, which anybody may ask.
const (
	readyTime = 2 * time.Second // for a check, and for a request that waits for one
	readyKept = time.Second     // how long its outcome is told to others
)

// readiness asks whether the desk can work, one check at a time.
type readiness struct {
	check func(context.Context) error
	tell  func(error) // what a check that failed said

	mu      sync.Mutex
	asked   time.Time // when the last check began; zero: never
	err     error     // of the last check that ended
	running chan struct{}
}

var errLate = errors.New("the check takes too long")

// outcome returns what the last check said, or has one run. begin is called in
// front of each check and returns what is to be called after it.
func (r *readiness) outcome(ctx context.Context, begin func() (context.Context, func())) error {
	r.mu.Lock()
	if r.running == nil {
		if !r.asked.IsZero() && time.Since(r.asked) < readyKept {
			defer r.mu.Unlock()
			return r.err
		}
		r.running, r.asked = make(chan struct{}), time.Now()
		checking, end := begin()
		go r.run(checking, r.running, end) //nolint:contextcheck // it serves all who wait, and does not end with the first
	}
	running := r.running
	r.mu.Unlock()
	late := time.NewTimer(readyTime)
	defer late.Stop()
	select {
	case <-running:
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.err
	case <-late.C:
		return errLate
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *readiness) run(ctx context.Context, running chan struct{}, end func()) {
	defer end()
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	err := errors.New("the check panicked")
	defer func() {
		_ = recover() // nothing of it is told
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err, r.running = err, nil
		close(running)
	}()
	defer func() {
		if err != nil {
			r.tell(err)
		}
	}()
	err = r.check(ctx)
}

func (s *Server) unready(err error) {
	s.log.LogAttrs(context.Background(), slog.LevelWarn, "not ready", slog.String("cause", fmt.Sprintf("%T", err)))
}

const readyBody = `{"status":"ready"}`

func (s *Server) serveReady(w *writer, r *http.Request) *refusal {
	if no := readOnly(w, r); no != nil {
		return no
	}
	err := s.ready.outcome(r.Context(), func() (context.Context, func()) {
		s.active.join()
		return s.calls, s.active.leave
	})
	if err != nil {
		return &notReady
	}
	plainAnswer(w, []byte(readyBody))
	return nil
}
