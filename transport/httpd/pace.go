package httpd

import (
	"sync"
	"time"
)

// pace bounds how often each key may have something: so many at once, and one
// more each step. It is the generic cell rate algorithm (ITU-T I.371): all that
// is kept of a key is the instant at which what it has taken will be made up
// for, and one that has passed says as much as none. So forgetting it in time
// loses nothing; golang.org/x/time/rate would be the same instant with a lock of
// its own, and would want such a map around it all the same.
type pace[K comparable] struct {
	step  time.Duration
	ahead time.Duration // how far in the future the instant may lie: so many steps

	mu   sync.Mutex
	even forgetful[K, time.Time]
}

func newPace[K comparable](atOnce int, step time.Duration) *pace[K] {
	ahead := time.Duration(atOnce) * step
	return &pace[K]{step: step, ahead: ahead, even: forgetful[K, time.Time]{keep: ahead, most: mostKept}}
}

// newRate is so many a second, twice as many at once.
func newRate(aSecond int) *pace[string] {
	return newPace[string](2*aSecond, time.Second/time.Duration(aSecond))
}

// take takes one for key and returns 0, or returns how long there is none.
func (p *pace[K]) take(key K) (wait time.Duration) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	even, _ := p.even.get(key, now)
	if even.Before(now) {
		even = now
	}
	even = even.Add(p.step)
	if wait := even.Sub(now) - p.ahead; wait > 0 {
		return wait
	}
	p.even.put(key, even, now)
	return 0
}

// give takes back one take.
func (p *pace[K]) give(key K) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if even, ok := p.even.get(key, now); ok {
		p.even.put(key, even.Add(-p.step), now)
	}
}
