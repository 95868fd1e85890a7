package clock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// machine is a system's clock and a monotonic one beside it.
type machine struct {
	wall    time.Time
	running time.Duration
}

func (m *machine) source() (time.Time, time.Duration) { return m.wall, m.running }

func (m *machine) pass(d time.Duration)  { m.wall, m.running = m.wall.Add(d), m.running+d }
func (m *machine) sleep(d time.Duration) { m.wall = m.wall.Add(d) } // suspended
func (m *machine) set(d time.Duration)   { m.wall = m.wall.Add(d) } // somebody sets the clock

var rows = rowmac.New([rowmac.KeySize]byte{9})

func start(m *machine) *clock.Clock { return clock.New(m.source, rows) }

func TestInOneProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		do     func(m *machine)
		want   time.Duration // after noon
		behind bool
	}{
		"time passes":                 {func(m *machine) { m.pass(time.Hour) }, time.Hour, false},
		"asleep":                      {func(m *machine) { m.sleep(8 * time.Hour) }, 8 * time.Hour, false},
		"set back":                    {func(m *machine) { m.set(-time.Hour) }, 0, true},
		"set back, and time passes":   {func(m *machine) { m.set(-time.Hour); m.pass(20 * time.Minute) }, 20 * time.Minute, true},
		"set back by little":          {func(m *machine) { m.set(-5 * time.Minute); m.pass(time.Minute) }, time.Minute, false},
		"by a little more":            {func(m *machine) { m.set(-5*time.Minute - 1); m.pass(time.Minute) }, time.Minute, true},
		"back and forward":            {func(m *machine) { m.set(-time.Hour); m.pass(time.Minute); m.set(time.Hour) }, time.Minute, false},
		"forward":                     {func(m *machine) { m.set(time.Hour); m.pass(time.Minute) }, time.Hour + time.Minute, false},
		"asleep, then set back":       {func(m *machine) { m.sleep(time.Hour); m.set(-time.Minute); m.pass(time.Minute) }, time.Hour, false},
		"the monotonic one goes back": {func(m *machine) { m.running -= time.Hour; m.set(-time.Minute) }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{wall: noon, running: 3 * time.Hour}
			c := start(m)
			tc.do(m)
			if got := c.Now().Sub(noon); got != tc.want {
				t.Errorf("%s after noon, want %s", got, tc.want)
			}
			err := c.Check()
			if behind := (*clock.BehindError)(nil); errors.As(err, &behind) != tc.behind {
				t.Errorf("behind: %v", err)
			}
		})
	}
}

// TestNeverBackwards reads at each step of a walk in which everything happens.
func TestNeverBackwards(t *testing.T) {
	m := &machine{wall: noon}
	c := start(m)
	last := c.Now()
	for i, step := range []func(time.Duration){m.pass, m.set, m.sleep, m.pass} {
		for _, d := range []time.Duration{time.Second, time.Hour, 100 * time.Hour} {
			step(d)
			m.set(-2 * d * time.Duration(i%3))
			now := c.Now()
			if now.Before(last) {
				t.Fatalf("step %d: %s after %s", i, now, last)
			}
			last = now
		}
	}
}

// TestOfReadsBothClocks: times of package time carry a monotonic reading.
func TestOfReadsBothClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(clock.Of(time.Now), rows)
		before := c.Now()
		time.Sleep(90 * time.Minute)
		if got := c.Now().Sub(before); got != 90*time.Minute {
			t.Errorf("%s passed", got)
		}
	})
}

func open(t *testing.T) *sqldb.DB {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "test.db"), clock.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func tick(t *testing.T, db *sqldb.DB, c *clock.Clock) (trash time.Time) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) (err error) { trash, err = c.Tick(tx); return err }); err != nil {
		t.Fatal(err)
	}
	return trash
}

func accept(t *testing.T, db *sqldb.DB, c *clock.Clock) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, _, err := c.Accept(tx); return err }); err != nil {
		t.Fatal(err)
	}
	load(t, db, c)
}

func load(t *testing.T, db *sqldb.DB, c *clock.Clock) {
	t.Helper()
	if err := db.View(t.Context(), c.Load); err != nil {
		t.Fatal(err)
	}
}

func at(t *testing.T, what string, c *clock.Clock, want time.Time, behind bool) {
	t.Helper()
	if got := c.Now(); !got.Equal(want) {
		t.Errorf("%s: it is %s, want %s", what, got, want)
	}
	if err := c.Check(); (err != nil) != behind {
		t.Errorf("%s: %v", what, err)
	}
}

// TestBetweenProcesses: a process starts where the one before it was.
func TestBetweenProcesses(t *testing.T) {
	db, m := open(t), &machine{wall: noon}
	tick(t, db, start(m))
	for name, tc := range map[string]struct {
		set    time.Duration
		want   time.Duration
		behind bool
	}{
		"later":             {time.Hour, time.Hour, false},
		"a little earlier":  {-5 * time.Minute, 0, false},
		"earlier":           {-5*time.Minute - 1, 0, true},
		"long before":       {-1000 * time.Hour, 0, true},
		"1970":              {-noon.Sub(time.Unix(0, 0)), 0, true},
		"at the same time":  {0, 0, false},
		"in another decade": {90000 * time.Hour, 90000 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(&machine{wall: noon.Add(tc.set)})
			load(t, db, c)
			at(t, "started", c, noon.Add(tc.want), tc.behind)
		})
	}
}

// TestAcceptReachesEveryProcess: the clock was a year ahead and is set right.
func TestAcceptReachesEveryProcess(t *testing.T) {
	const year = 365 * 24 * time.Hour
	db, m := open(t), &machine{wall: noon.Add(year)}
	running, idle := start(m), start(m)
	tick(t, db, running)
	tick(t, db, idle)
	m.set(-year)
	m.pass(time.Minute)
	at(t, "running", running, noon.Add(year+time.Minute), true)
	owner := start(m)
	load(t, db, owner)
	at(t, "the owner", owner, noon.Add(year), true)
	accept(t, db, owner)
	at(t, "the owner", owner, m.wall, false)
	at(t, "running, not told yet", running, noon.Add(year+time.Minute), true)
	load(t, db, running)
	at(t, "running, told", running, m.wall, false)
	tick(t, db, idle) // must not lift the mark again
	at(t, "idle", idle, m.wall, false)
	next := start(m)
	load(t, db, next)
	at(t, "the next process", next, m.wall, false)
}

// TestTheTrashIsLookedAtTwice: what a wrong clock finds overdue is not
// destroyed at once, nor when the clock goes wrong between two looks.
func TestTheTrashIsLookedAtTwice(t *testing.T) {
	db, m := open(t), &machine{wall: noon}
	first := tick(t, db, start(m))
	m.pass(23 * time.Hour)
	again := tick(t, db, start(m))
	if !first.IsZero() || !again.IsZero() {
		t.Fatalf("destroyed on the first day: %s, %s", first, again)
	}
	m.set(10000 * time.Hour)
	if trash := tick(t, db, start(m)); !trash.Equal(noon) {
		t.Fatalf("overdue at %s, want the look at noon", trash)
	}
	m.pass(time.Hour)
	if trash := tick(t, db, start(m)); !trash.IsZero() {
		t.Fatalf("destroyed by a clock that was wrong for an hour: %s", trash)
	}
	m.set(-10000 * time.Hour)
	c := start(m)
	load(t, db, c)
	accept(t, db, c)
	m.pass(24 * time.Hour)
	looked := m.wall
	if trash := tick(t, db, c); !trash.IsZero() {
		t.Fatalf("the look under the wrong clock still counts: %s", trash)
	}
	m.pass(24 * time.Hour)
	if trash := tick(t, db, c); !trash.Equal(looked) {
		t.Fatalf("overdue at %s, want %s", trash, looked)
	}
}

func TestAnEditedMarkIsDamage(t *testing.T) {
	for _, edit := range []string{"mark = mark - 3600000000", "epoch = epoch + 1", "looked = 1", "mac = x''", "mark = 'x'"} {
		db, m := open(t), &machine{wall: noon}
		running := start(m)
		tick(t, db, running)
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec("UPDATE clock SET " + edit); return err }); err != nil {
			t.Fatal(err)
		}
		c := start(m)
		if err := db.View(t.Context(), c.Load); !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("%s: %v", edit, err)
		}
		m.pass(48 * time.Hour)
		if trash := tick(t, db, running); !trash.IsZero() {
			t.Errorf("%s: destroys what is older than %s", edit, trash)
		}
		accept(t, db, c)
		load(t, db, running)
		at(t, edit, running, m.wall, false)
	}
}

// TestARemovedMarkTurnsNothingBack in a process that runs.
func TestARemovedMarkTurnsNothingBack(t *testing.T) {
	db, m := open(t), &machine{wall: noon}
	c := start(m)
	accept(t, db, c)
	m.set(-time.Hour)
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec("DELETE FROM clock"); return err }); err != nil {
		t.Fatal(err)
	}
	load(t, db, c)
	tick(t, db, c)
	at(t, "running", c, noon, true)
	next := start(m)
	load(t, db, next)
	at(t, "the next process", next, noon, true)
}
