package approval

import (
	"errors"
	"slices"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Get returns one request. Errors: [ErrUnknown]; [vault.ErrCorrupt] with the ID.
func (s *Store) Get(tx *sqldb.Tx, id string, now time.Time) (Request, error) {
	r, err := s.one(tx, id)
	return r.request(now), err
}

// Query says which requests to list. The zero Query is the newest of all.
type Query struct {
	Status    Status // "": every one
	Requester string // a requester, or the agent behind it; "": everybody's
	After     int64  // [Page.Next] of the page before; 0: from the newest
	Limit     int    // 1 to [MaxPage], more is MaxPage; 0: 50
}

const defaultLimit = 50

// Page is a part of a list, newest first.
type Page struct {
	Items []Request
	Next  int64 // 0: this is the last page
}

// List returns requests, the newest first. A damaged one that may be meant has its
// Seq, ID and Damaged, and nothing else. Error: *[vault.InvalidError] of field
// "status", "limit" or "cursor".
func (s *Store) List(tx *sqldb.Tx, q Query, now time.Time) (Page, error) {
	switch {
	case q.Status != "" && !slices.Contains(Statuses(), q.Status):
		return Page{}, &vault.InvalidError{Field: "status", Rule: "is unknown"}
	case q.Limit < 0:
		return Page{}, &vault.InvalidError{Field: "limit", Rule: "is negative"}
	case q.After < 0:
		return Page{}, &vault.InvalidError{Field: "cursor", Rule: "is negative"}
	case q.Limit == 0:
		q.Limit = defaultLimit
	}
	q.Limit = min(q.Limit, MaxPage)
	where, args := q.where()
	var page Page
	err := s.each(tx, where, args, func(r *row) error {
		if !r.Damaged && q.Status != "" && r.status(now) != q.Status {
			return nil
		}
		if len(page.Items) == q.Limit {
			page.Next = page.Items[q.Limit-1].Seq
			return errFull
		}
		page.Items = append(page.Items, r.request(now))
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return page, err
}

var errFull = errors.New("page is full")

// where is the condition under which rows may fit. Which of those that are
// pending in the table are so, [row.status] says. Those of a requester come from
// two indexes, each in the order of the list, and are merged as they are read.
func (q *Query) where() (where string, args []any) {
	where = `seq > 0`
	if q.After > 0 {
		where, args = `seq < ?`, append(args, q.After)
	}
	switch q.Status {
	case "":
	case Pending, Approved:
		where += ` AND state = 'pending'`
	case Expired:
		where += ` AND state IN ('pending', 'expired')`
	case Denied, Cancelled, Used:
		where, args = where+` AND state = ?`, append(args, string(q.Status))
	}
	if q.Requester != "" {
		where = `requester = ? AND ` + where + ` UNION ALL SELECT ` + columns + ` FROM approvals WHERE agent = ? AND requester <> ? AND ` + where
		args = slices.Concat([]any{q.Requester}, args, []any{q.Requester, q.Requester}, args)
	}
	return where + ` ORDER BY seq DESC`, args
}

// Due returns at most limit requests that have expired and were not returned
// before, those first that expired first: each is told once, and by nothing is
// it open again. Damaged ones are told as such and removed.
func (s *Store) Due(tx *sqldb.Tx, now time.Time, limit int) ([]Request, error) {
	found, err := s.all(tx, `state = 'pending' AND expires_at <= ? ORDER BY expires_at, seq LIMIT ?`, sqldb.Micros(now), limit)
	if err != nil {
		return nil, err
	}
	due := make([]Request, 0, len(found))
	for i := range found {
		r := &found[i]
		if r.Damaged {
			err = remove(tx, r)
		} else {
			r.Status = Expired
			err = s.update(tx, r)
		}
		if err != nil {
			return nil, err
		}
		due = append(due, r.request(now))
	}
	return due, nil
}

// Overdue reports whether [Store.Due] would find any; it changes nothing.
func (*Store) Overdue(tx *sqldb.Tx, now time.Time) (bool, error) {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM approvals WHERE state = 'pending' AND expires_at <= ? LIMIT 1`, sqldb.Micros(now)).Scan(&one)
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Purge removes what is settled, the expired when it was told, and whose time was
// over longer than [Keep] ago. It returns how many there were.
func (*Store) Purge(tx *sqldb.Tx, now time.Time) (int, error) {
	n, err := tx.Exec(purge, sqldb.Micros(now.Add(-Keep)))
	return int(n), err
}

// purge names the states, and not the one that they are not, by which the index
// finds them.
const purge = `DELETE FROM approvals WHERE state IN ('denied', 'cancelled', 'expired', 'used') AND expires_at <= ?`
