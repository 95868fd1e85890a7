package approval

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// adminPrefix starts the id of everybody who may vote (package identity).
const adminPrefix = "admin:"

// Approve adds an admin's vote. The last of the quorum starts the delay. Errors:
// [ErrUnknown]; [ErrOwnRequest], [ErrSettled] (also when the quorum is there) and
// [ErrVoted] with the request; *[vault.InvalidError] of field "admin" or
// "reason"; [vault.ErrCorrupt] with the ID.
func (s *Store) Approve(tx *sqldb.Tx, id, admin, reason string, now time.Time) (Request, error) {
	r, err := s.ballot(tx, id, admin, reason)
	switch {
	case err != nil:
	case r.status(now) != Pending || r.ready != 0:
		err = ErrSettled
	case slices.ContainsFunc(r.Votes, func(v Vote) bool { return v.Admin == admin }):
		err = ErrVoted
	default:
		at := r.moment(now)
		r.Votes = append(r.Votes, Vote{Admin: admin, At: sqldb.Time(at), Reason: reason})
		if r.Agreed() >= r.Quorum {
			r.decided, r.ready, r.expires = at, at+r.delay, at+r.delay+r.period
		}
		err = s.update(tx, &r)
	}
	return r.request(now), err
}

// Deny ends a request that was not used yet, also while its delay runs and after;
// the admin may have agreed before. A damaged one is removed. Errors:
// [ErrUnknown]; [ErrOwnRequest] and [ErrSettled] with the request;
// *[vault.InvalidError] of field "admin" or "reason".
func (s *Store) Deny(tx *sqldb.Tx, id, admin, reason string, now time.Time) (Request, error) {
	r, err := s.ballot(tx, id, admin, reason)
	switch {
	case errors.Is(err, vault.ErrCorrupt) && r.Damaged:
		err = remove(tx, &r)
	case err != nil:
	case !r.unused(now):
		err = ErrSettled
	default:
		at := r.moment(now)
		r.Votes = append(r.Votes, Vote{Admin: admin, Deny: true, At: sqldb.Time(at), Reason: reason})
		r.Status, r.decided = Denied, at
		err = s.update(tx, &r)
	}
	return r.request(now), err
}

// unused reports whether it can still come to be used.
func (r *row) unused(now time.Time) bool {
	status := r.status(now)
	return status == Pending || status == Approved
}

// ballot returns the request that an admin votes on.
func (s *Store) ballot(tx *sqldb.Tx, id, admin, reason string) (row, error) {
	name, ok := strings.CutPrefix(admin, adminPrefix)
	if !ok || name == "" || checkText("admin", admin, maxIDBytes) != nil {
		return row{}, &vault.InvalidError{Field: "admin", Rule: "is not an admin's"}
	}
	if err := checkText("reason", reason, MaxReasonBytes); err != nil {
		return row{}, err
	}
	r, err := s.one(tx, id)
	if err == nil && (admin == r.Requester || admin == r.Agent) {
		err = ErrOwnRequest
	}
	return r, err
}

// Cancel ends a request that was not used yet, for its requester or the agent
// behind it. Errors: [ErrUnknown], also for another's; [ErrSettled] with the
// request; [vault.ErrCorrupt] with the ID.
func (s *Store) Cancel(tx *sqldb.Tx, id, by string, now time.Time) (Request, error) {
	r, err := s.one(tx, id)
	switch {
	case err != nil:
	case by != r.Requester && by != r.Agent:
		return Request{}, ErrUnknown
	case !r.unused(now):
		err = ErrSettled
	default:
		err = s.cancel(tx, &r, now)
	}
	return r.request(now), err
}

func (s *Store) cancel(tx *sqldb.Tx, r *row, now time.Time) error {
	r.Status, r.decided = Cancelled, r.moment(now)
	return s.update(tx, r)
}

// CancelAll ends what an agent and its tokens, or one token, have asked for and
// not used, and returns how many there were. Damaged ones are removed.
func (s *Store) CancelAll(tx *sqldb.Tx, who string, now time.Time) (int, error) {
	found, err := s.all(tx, `state = 'pending' AND expires_at > ? AND (requester = ? OR agent = ?)`, sqldb.Micros(now), who, who)
	if err != nil {
		return 0, err
	}
	for i := range found {
		if r := &found[i]; r.Damaged {
			err = remove(tx, r)
		} else {
			err = s.cancel(tx, r, now)
		}
		if err != nil {
			return i, err
		}
	}
	return len(found), nil
}

// CancelAfter ends what was asked or agreed to after a time and not used, and
// returns how many there were: the owner says that it has not come yet (package
// clock), and when it comes they must not be good again. Damaged ones are removed.
func (s *Store) CancelAfter(tx *sqldb.Tx, after, now time.Time) (n int, err error) {
	found, err := s.all(tx, `state = 'pending'`)
	if err != nil {
		return 0, err
	}
	for i := range found {
		switch r := &found[i]; {
		case r.Damaged:
			err = remove(tx, r)
		case r.latest() <= sqldb.Micros(after):
			continue
		default:
			r.expires = sqldb.Micros(now)
			err = s.cancel(tx, r, now)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Withdraw removes the votes of an admin who is one no more from everything that
// was not used yet, and returns from how many. What has its quorum no more is
// pending again, until the time it had at first; what was denied stays so.
func (s *Store) Withdraw(tx *sqldb.Tx, admin string) (n int, err error) {
	found, err := s.all(tx, `state = 'pending'`)
	if err != nil {
		return 0, err
	}
	for i := range found {
		r := &found[i]
		before := len(r.Votes) // a damaged one has none
		r.Votes = slices.DeleteFunc(r.Votes, func(v Vote) bool { return v.Admin == admin })
		if len(r.Votes) == before {
			continue
		}
		if r.Agreed() < r.Quorum {
			r.decided, r.ready, r.expires = 0, 0, r.created+r.period
		}
		if err := s.update(tx, r); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
