package broker

import (
	"maps"
	"sync"
	"time"
)

// What a principal may try of handles that are not there, or not its own. A
// handle is too long to be guessed; whoever tries is told to stop, and stands on
// record.
const (
	unknownMost = 20
	unknownPer  = time.Minute
)

// unknowns counts, in this process, the unknown handles of each principal. Past
// unknownMost its uses are refused until unknownPer after the first of them, the
// right handle among them too: else the refusal would cost a guess nothing. What
// one principal does is nothing to another.
type unknowns struct {
	mu sync.Mutex
	by map[string]tally
}

type tally struct {
	n     int
	since time.Time
}

// over reports whether the time of a tally is over; a clock that was set back
// ends it too.
func (t tally) over(now time.Time) bool {
	passed := now.Sub(t.since)
	return passed < 0 || passed >= unknownPer
}

func (u *unknowns) note(who string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.by, func(_ string, t tally) bool { return t.over(now) })
	if u.by == nil {
		u.by = map[string]tally{}
	}
	t, known := u.by[who]
	if !known {
		t.since = now
	}
	t.n++
	u.by[who] = t
}

func (u *unknowns) tooMany(who string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.by[who]
	return t.n >= unknownMost && !t.over(now)
}

func tooManyUnknown() *Denied {
	return &Denied{
		Code: RateLimited, Reason: "Too many unknown handles came within a minute, so that none is taken until it is over.",
		Next: "Wait a minute, then get a handle with get_secret and copy it as it is.",
	}
}
