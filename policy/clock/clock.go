// Package clock is the time that everything with an end is held against:
// handles, secrets, versions, rates, the trash.
//
// The one rule: this time never runs backwards, in a process, nor from one
// process to the next, unless the owner says that it shall, on record.
//
//	c := clock.New(clock.Of(time.Now), rows)
//	err := db.View(ctx, c.Load)          // how far this vault's time had come
//	err = c.Check()                      // *BehindError: refuse to lend anything
//	now := c.Now()
//	trash, err := c.Tick(tx)             // now and then: keep how far it has come
//	err = c.Accept(tx)                   // the owner: the present time is right
//
// # In one process
//
// Time is the system's clock, and not less than what was read before plus what
// has passed since by the monotonic clock. So setting the clock back lengthens
// no handle's life; and a laptop that slept, whose monotonic clock may have
// stood still, finds its handles expired.
//
// # From one process to the next
//
// The mark, one row of the database, is how far time had come when it was last
// kept: at each checkpoint of the log, so at the latest seconds after an event.
// A process starts at the mark if the system's clock is behind it. Up to
// [Tolerance] that passes without a word and time runs on from the mark; beyond
// it [Clock.Check] fails, in running processes too, until the clock is set right
// or the owner accepts the present time. Accepting begins a new epoch, by which
// running processes learn of it.
//
// # A clock that was ahead
//
// Handles and secrets end while it is, nothing is destroyed by it, and the mark
// stays ahead when it is set right, so that the owner has to accept that. Then
//
//   - handles, tokens and requests that were made while it was ahead have ended, and
//     those that were swept away have to be issued again;
//   - versions in grace and the trash are as they were, and a version that was
//     retired, or a secret that was deleted, while it was ahead lives on for what was
//     left of its grace, or for the usual time in the trash, from the acceptance on;
//   - a secret expires when people said it shall: that is a date of theirs, and one
//     that was over while the clock was ahead has yet to come.
//
// The trash is emptied in two looks at least a day apart: what is destroyed at the
// second was overdue at the first already. So a wrong clock destroys nothing in its
// first day; one that is wrong for longer does.
//
// Choice: a mark of its own, not the time of the last record in the log, which
// running processes would lift again by what they record before they learn that
// it was lowered. Rejected too: letting time stand still until the system's clock
// has caught up, since that lengthens lives by as much.
//
// What it does not do: it does not know the right time. A clock set back to a
// moment after the mark does not show in a new process; and who can write the
// database can put an older mark back or remove it.
package clock

import (
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
)

// Tolerance is how far the system's clock may be behind without a word: NTP
// steps and the correction of a drifting clock are smaller.
const Tolerance = 5 * time.Minute

// BehindError says that the system's clock is behind this vault's time. Set it
// right, or have the owner accept it.
type BehindError struct{ Wall, Seen time.Time }

// Error names both times.
func (e *BehindError) Error() string {
	return "the clock of this machine says " + e.Wall.UTC().Format(time.RFC3339) +
		", and this vault has seen " + e.Seen.UTC().Format(time.RFC3339)
}

// Source reads the system's clock and how long the process has been running by
// a clock that nobody sets.
type Source func() (wall time.Time, running time.Duration)

// Of is the Source of a function such as time.Now, whose times carry a reading
// of the monotonic clock.
func Of(now func() time.Time) Source {
	start := now()
	return func() (time.Time, time.Duration) {
		t := now()
		return t.Round(0), t.Sub(start)
	}
}

// Clock is safe for concurrent use.
type Clock struct {
	source Source
	rows   *rowmac.Key

	mu      sync.Mutex
	at      time.Time     // our time at the last reading
	running time.Duration // the source's at the last reading
	epoch   int64
	loaded  bool
}

// New returns a Clock that knows of no mark yet; rows authenticates it.
func New(source Source, rows *rowmac.Key) *Clock {
	c := &Clock{source: source, rows: rows}
	c.at, c.running = source()
	return c
}

// Now is the time, in UTC, without a monotonic reading.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, now := c.read()
	return now
}

// read returns the system's time and ours. c.mu is held.
func (c *Clock) read() (wall, now time.Time) {
	wall, running := c.source()
	if passed := running - c.running; passed > 0 {
		c.at = c.at.Add(passed)
	}
	c.running = running
	if wall.After(c.at) {
		c.at = wall
	}
	return wall, c.at.UTC()
}

// Check returns a *[BehindError] when the system's clock is behind by more
// than [Tolerance].
func (c *Clock) Check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wall, now := c.read(); now.Sub(wall) > Tolerance {
		return &BehindError{wall, now}
	}
	return nil
}

// set starts over from the system's time, or the mark if that is later. c.mu
// is held.
func (c *Clock) set(mark time.Time) {
	c.at, c.running = c.source()
	if mark.After(c.at) {
		c.at = mark
	}
}
