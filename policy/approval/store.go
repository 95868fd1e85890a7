package approval

import (
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Store keeps requests in the state database. It is safe for concurrent use,
// also by several processes on one database: a transaction that writes holds the
// write lock from its start (sqldb).
type Store struct{ rows *rowmac.Key }

// New returns a Store whose rows are authenticated by a key.
func New(rows *rowmac.Key) *Store { return &Store{rows: rows} }

// Ask returns the open or denied request for the same, or makes one. Errors:
// [ErrTooMany]; *[vault.InvalidError]; [vault.ErrCorrupt] with the ID.
func (s *Store) Ask(tx *sqldb.Tx, spec Spec, now time.Time) (r Request, created bool, err error) {
	if err := spec.check(); err != nil {
		return Request{}, false, err
	}
	same, err := s.match(tx, spec.Requester, spec.Digest, now)
	if !errors.Is(err, ErrNone) {
		return same.request(now), false, err
	}
	spec.Scopes, spec.Details = slices.Clone(spec.Scopes), slices.Clone(spec.Details)
	if err := s.room(tx, spec.Agent, now); err != nil {
		return Request{}, false, err
	}
	var nonce [32]byte
	_, _ = rand.Read(nonce[:]) // never fails (crypto/rand)
	fresh := row{
		Request: Request{ID: mint.ID(Prefix, nonce), Spec: spec, Status: Pending}, digest: spec.Digest[:],
		delay: spec.Delay.Microseconds(), period: spec.Expires.Microseconds(),
		created: sqldb.Micros(now), expires: sqldb.Micros(now.Add(spec.Expires)),
	}
	if err := s.insert(tx, &fresh); err != nil {
		return Request{}, false, err
	}
	return fresh.request(now), true, nil
}

// room holds [MaxPending].
func (s *Store) room(tx *sqldb.Tx, agent string, now time.Time) error {
	waiting := 0
	err := s.each(tx, `state IN ('pending', 'cancelled') AND expires_at > ? AND agent = ?`, []any{sqldb.Micros(now), agent}, func(r *row) error {
		if r.Damaged || !r.over(now) && r.status(now) != Approved {
			waiting++
		}
		return nil
	})
	if err == nil && waiting >= MaxPending {
		err = ErrTooMany
	}
	return err
}

// match returns the request for the same that answers now: one that is approved,
// else one that is denied, else one that is pending. There are several when one
// was made under a clock that was ahead. Errors: [ErrNone]; [vault.ErrCorrupt]
// with the ID.
func (s *Store) match(tx *sqldb.Tx, requester string, digest [32]byte, now time.Time) (row, error) {
	found, err := s.all(tx, `requester = ? AND digest = ? AND expires_at > ?`, requester, digest[:], sqldb.Micros(now))
	if err != nil {
		return row{}, err
	}
	by := map[Status]*row{}
	for i := range found {
		r := &found[i]
		if r.Damaged {
			return *r, r.damage()
		}
		if !r.over(now) {
			by[r.status(now)] = r
		}
	}
	for _, status := range []Status{Approved, Denied, Pending} {
		if r := by[status]; r != nil {
			return *r, nil
		}
	}
	return row{}, ErrNone
}

// Spend uses the approval of a request up, in the transaction of what it buys:
// of many at once exactly one succeeds. Errors: [ErrNone]; [ErrPending] and
// [ErrDenied] with the request; [vault.ErrCorrupt] with the ID.
func (s *Store) Spend(tx *sqldb.Tx, requester string, digest [32]byte, now time.Time) (Request, error) {
	r, err := s.match(tx, requester, digest, now)
	if err == nil {
		err = s.spend(tx, &r, now)
	}
	return r.request(now), err
}

// SpendID is [Store.Spend] for a request by its id. Errors: [ErrUnknown], also for
// another's; [ErrPending], [ErrDenied] and [ErrSettled] with the request;
// [vault.ErrCorrupt] with the ID.
func (s *Store) SpendID(tx *sqldb.Tx, id, requester string, now time.Time) (Request, error) {
	r, err := s.one(tx, id)
	switch {
	case err != nil:
		return r.request(now), err
	case r.Requester != requester:
		return Request{}, ErrUnknown
	}
	err = s.spend(tx, &r, now)
	return r.request(now), err
}

func (s *Store) spend(tx *sqldb.Tx, r *row, now time.Time) error {
	switch r.status(now) {
	case Approved:
		r.Status, r.usedAt = Used, r.moment(now)
		return s.update(tx, r)
	case Pending:
		return ErrPending
	case Denied:
		return ErrDenied
	case Cancelled, Expired, Used:
	}
	return ErrSettled
}

// Ready returns the approved requests of a requester for an action, the oldest
// first. Error: [vault.ErrCorrupt], when one that looks as if it were is damaged.
func (s *Store) Ready(tx *sqldb.Tx, requester string, action policy.Right, now time.Time) ([]Request, error) {
	found, err := s.all(tx, `requester = ? AND action = ? AND state = 'pending' AND ready_at <> 0 AND expires_at > ? ORDER BY seq`,
		requester, string(action), sqldb.Micros(now))
	if err != nil {
		return nil, err
	}
	var ready []Request
	for i := range found {
		if err := found[i].damage(); err != nil {
			return nil, err
		}
		if found[i].status(now) == Approved {
			ready = append(ready, found[i].request(now))
		}
	}
	return ready, nil
}
