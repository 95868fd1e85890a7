package httpd

import "sync"

// quota counts what each principal has under way.
type quota struct {
	max int

	mu  sync.Mutex
	now map[string]int // by principal id; no entry for none
}

func newQuota(limit int) *quota {
	return &quota{max: limit, now: map[string]int{}}
}

// take counts one more, unless there are max already. Each true wants a give.
func (q *quota) take(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.now[id] >= q.max {
		return false
	}
	q.now[id]++
	return true
}

func (q *quota) give(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.now[id]--; q.now[id] <= 0 {
		delete(q.now, id)
	}
}
