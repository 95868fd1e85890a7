package sqldb

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// maxBatch bounds how many waiting writes share one commit.
const maxBatch = 64

// queue orders the writes. The caller at its head leads: it runs and commits
// its own write with those that wait behind it, then hands the lead to the next.
// So a lone write changes no goroutine, which a dedicated writer would cost it
// twice, and nobody works for the others more than once.
type queue struct {
	mu      sync.Mutex
	waiting []*job
	led     bool // somebody leads
	crowded bool // the last commit was shared or left somebody waiting
	closed  bool
	stopped chan struct{} // closed once closed and nobody leads
}

// join puts j at the end; it leads when it is alone.
func (q *queue) join(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.waiting = append(q.waiting, j)
	if !q.led {
		q.led = true
		q.wakeLeader()
	}
	return nil
}

func (q *queue) wakeLeader() {
	q.waiting[0].leads = true
	q.waiting[0].wake <- struct{}{}
}

// wait returns when j is done or leads. The error is that of ctx, when it
// ended before anybody took j.
func (q *queue) wait(ctx context.Context, j *job) error {
	select {
	case <-j.wake:
		return nil
	default:
	}
	select {
	case <-j.wake:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, j)
	if i >= 0 && !j.leads {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.mu.Unlock()
		return ctx.Err()
	}
	q.mu.Unlock()
	<-j.wake
	return nil
}

// take returns the jobs of one commit, the leader's first.
func (q *queue) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := slices.Clone(q.waiting[:min(len(q.waiting), maxBatch)])
	q.waiting = slices.Delete(q.waiting, 0, len(batch))
	q.crowded = len(batch) > 1
	return batch
}

// yields is how often a leader lets others go first.
const yields = 3

// gather lets callers that are about to write join the commit that the leader is
// going to make. Else the first to come back after a commit makes one for itself
// alone, and the others wait for it: with sixteen callers that was every other
// commit. It takes no time when nobody else is ready to run, and is left out
// where writes come one by one.
func (q *queue) gather() {
	q.mu.Lock()
	crowded := q.crowded
	q.mu.Unlock()
	if !crowded {
		return
	}
	for range yields {
		runtime.Gosched()
	}
}

// leave takes the leader's own job out, of which nothing was begun.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.Delete(q.waiting, 0, 1)
}

// pass hands the lead to the next job, if there is one.
func (q *queue) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		q.crowded = true
		q.wakeLeader()
		return
	}
	q.led = false
	if q.closed {
		close(q.stopped)
	}
}

// close refuses new jobs and waits for those that are there. It reports
// whether this call closed the queue; another one waits all the same.
func (q *queue) close() bool {
	q.mu.Lock()
	first := !q.closed
	q.closed = true
	if first && !q.led {
		close(q.stopped)
	}
	q.mu.Unlock()
	<-q.stopped
	return first
}
