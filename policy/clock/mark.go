package clock

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// LookEvery is the least time between two looks at the trash.
const LookEvery = 24 * time.Hour

// Migrations creates the table of the one mark. mac authenticates epoch, mark
// and looked, in that order (package rowmac).
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{{Name: "clock/1", SQL: []string{
		`CREATE TABLE clock (
			id     BIGINT PRIMARY KEY CHECK (id = 1),
			epoch  BIGINT NOT NULL,
			mark   BIGINT NOT NULL,
			looked BIGINT NOT NULL,
			mac    {blob} NOT NULL
		)`,
	}}}
}

// mark is the row: epoch counts acceptances, mark is how far time had come,
// looked when the trash was looked at, 0 for never in this epoch.
type mark struct{ epoch, mark, looked int64 }

func (m mark) fields() rowmac.Fields {
	return rowmac.Row("clock").Int(m.epoch).Int(m.mark).Int(m.looked)
}

// load returns the mark, zero when there is none. Error: [vault.ErrCorrupt].
func (c *Clock) load(tx *sqldb.Tx) (m mark, err error) {
	var mac []byte
	err = tx.QueryRow(`SELECT epoch, mark, looked, mac FROM clock`).Scan(&m.epoch, &m.mark, &m.looked, &mac)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return mark{}, nil
	case err == nil && !c.rows.Check(m.fields(), mac), errors.Is(err, vault.ErrCorrupt):
		return m, rowmac.Damaged("clock", "mark")
	}
	return m, err
}

func (c *Clock) store(tx *sqldb.Tx, m mark) error {
	_, err := tx.Exec(`INSERT INTO clock (id, epoch, mark, looked, mac) VALUES (1, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, mark = excluded.mark, looked = excluded.looked, mac = excluded.mac`,
		m.epoch, m.mark, m.looked, c.rows.Sum(m.fields()))
	return err
}

// Load reads how far time has come. Error: [vault.ErrCorrupt] for a mark that
// this desk did not write, after which time goes by the system's clock.
func (c *Clock) Load(tx *sqldb.Tx) error {
	m, err := c.load(tx)
	if err == nil {
		c.take(m)
	}
	return err
}

// take goes on from a mark, or starts over from it when it is of another epoch.
func (c *Clock) take(m mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m == (mark{}) { // none is kept, or somebody removed it: that turns nothing back
		c.loaded = true
		return
	}
	if c.loaded && c.epoch != m.epoch {
		c.set(sqldb.Time(m.mark))
	} else if seen := sqldb.Time(m.mark); seen.After(c.at) {
		c.set(seen)
	}
	c.loaded, c.epoch = true, m.epoch
}

func (c *Clock) era() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// Tick keeps how far time has come. Once in [LookEvery] it returns the time of
// the look before: what was overdue in the trash then may be destroyed now;
// else it returns the zero time. A damaged mark is left alone and nothing is
// destroyed.
func (c *Clock) Tick(tx *sqldb.Tx) (trash time.Time, err error) {
	m, err := c.load(tx)
	if errors.Is(err, vault.ErrCorrupt) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if c.take(m); m == (mark{}) {
		m.epoch = c.era()
	}
	now := sqldb.Micros(c.Now())
	switch since := now - m.looked; {
	case m.looked == 0:
		m.looked = now
	case since >= LookEvery.Microseconds():
		trash, m.looked = sqldb.Time(m.looked), now
	}
	m.mark = now
	return trash, c.store(tx, m)
}

// Accept makes the present time of the system the vault's time; the caller
// records it, and calls [Clock.Load] once tx is committed. It replaces a damaged
// mark. wall is the present time, seen how far time had come.
func (c *Clock) Accept(tx *sqldb.Tx) (wall, seen time.Time, err error) {
	m, err := c.load(tx)
	if err != nil && !errors.Is(err, vault.ErrCorrupt) {
		return wall, seen, err
	}
	c.mu.Lock()
	wall, seen = c.read()
	c.mu.Unlock()
	wall = wall.UTC()
	// A damaged mark tells no epoch; one that nobody has had is as good.
	next := mark{epoch: m.epoch + 1, mark: sqldb.Micros(wall)}
	if err != nil {
		next.epoch = sqldb.Micros(wall)
	}
	return wall, seen, c.store(tx, next)
}
