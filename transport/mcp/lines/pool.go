package lines

import "sync"

// Limits of what one connection may have taken in but not yet dealt with.
// Beyond them nothing more is read.
const (
	maxTaken      = 256      // messages; those over NewPool's wait for their turn
	maxTakenBytes = 16 << 20 // bytes of such messages, unless there is one only
)

// Pool runs jobs in goroutines that stay for the next one: their stacks have
// grown to the size a call needs, which costs more than the call's own work in
// a fresh goroutine.
type Pool struct {
	most int // goroutines
	jobs chan job

	mu      sync.Mutex
	less    sync.Cond // taken has become less
	workers int
	idle    int // of them
	queued  int // jobs that no worker has picked
	taken   int // jobs that are not done
	bytes   int // their sizes
	closed  bool
}

type job struct {
	run  func()
	size int
}

// NewPool returns a Pool that runs at most so many jobs at once.
func NewPool(most int) *Pool {
	p := &Pool{most: most, jobs: make(chan job, maxTaken)}
	p.less.L = &p.mu
	return p
}

// Do has run run, as one message of size bytes, once there is room for it; false
// when the pool has closed.
func (p *Pool) Do(size int, run func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && p.taken > 0 && (p.taken >= maxTaken || p.bytes+size > maxTakenBytes) {
		p.less.Wait()
	}
	if p.closed {
		return false
	}
	p.taken++
	p.bytes += size
	if p.queued++; p.queued > p.idle && p.workers < p.most {
		p.workers++
		p.idle++
		go p.work()
	}
	p.jobs <- job{run, size} // never blocks: it holds maxTaken
	return true
}

func (p *Pool) work() {
	for j := range p.jobs {
		p.mu.Lock()
		p.queued--
		p.idle--
		p.mu.Unlock()
		j.run()
		p.mu.Lock()
		p.idle++
		p.taken--
		p.bytes -= j.size
		p.less.Broadcast()
		p.mu.Unlock()
	}
}

// Close takes no more jobs. Workers end once those that were taken are done.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
		p.less.Broadcast()
	}
}

// Wait blocks until all that was taken is done. Call Close first.
func (p *Pool) Wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.taken > 0 {
		p.less.Wait()
	}
}
