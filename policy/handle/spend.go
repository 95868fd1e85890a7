package handle

import (
	"crypto/subtle"
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// spendable is the condition under which [Handle.judge] finds no fault. Its
// parameters are now and now plus maxSkew.
const spendable = `revoked_at = 0 AND expires_at > ? AND created_at <= ? AND (max_uses = 0 OR used < max_uses)`

// Spend counts one use and returns the handle. tx holds the write lock from its
// start (sqldb), so that of many at once exactly as many succeed as there are
// uses left; the count is written only over the one that was read.
//
// Errors: [ErrMistyped], [ErrUnknown]; [ErrRevoked], [ErrExpired] and
// [ErrExhausted] with the handle, so that its id can be logged;
// [vault.ErrCorrupt] with the id, for a row that this desk did not write.
func (s *Store) Spend(tx *sqldb.Tx, principal, text string, now time.Time) (Handle, error) {
	r, h, err := s.find(tx, principal, text, now)
	if err != nil {
		return h, err
	}
	r.Used++
	h.Used++
	if err := s.update(tx, &r, r.Used-1); err != nil {
		return Handle{ID: r.ID}, err
	}
	return h, nil
}

// Lookup returns the handle without using it. Errors: those of [Store.Spend].
func (s *Store) Lookup(tx *sqldb.Tx, principal, text string, now time.Time) (Handle, error) {
	_, h, err := s.find(tx, principal, text, now)
	return h, err
}

// find looks through the principal's ring, the newest first: a handle is most
// often used soon after it was issued, and the ring is bounded ([MaxLive]).
func (s *Store) find(tx *sqldb.Tx, principal, text string, now time.Time) (row, Handle, error) {
	if err := Check(text); err != nil {
		return row{}, Handle{}, err
	}
	want := mint.Hash(text)
	id := mint.ID("h_", want)
	r := row{hash: make([]byte, len(want))} // what an unknown handle is compared with
	err := r.scan(tx.QueryRow(`SELECT `+columns+`, seq FROM handles WHERE principal = ? AND id = ? ORDER BY seq DESC LIMIT 1`, principal, id).Scan)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return r, Handle{ID: id}, err
	}
	// The id is made of the hash, so that whoever asks by it has the handle, and
	// another hash beside it is damage.
	damaged := s.check(&r)
	mine := subtle.ConstantTimeCompare(r.hash, want[:])&subtle.ConstantTimeCompare([]byte(r.Principal), []byte(principal)) == 1
	switch {
	case err != nil:
		return r, Handle{}, ErrUnknown
	case damaged != nil:
		return r, Handle{ID: id}, damaged
	case !mine:
		return r, Handle{}, ErrUnknown
	}
	h, err := r.handle()
	if err != nil {
		return r, h, err
	}
	return r, h, h.judge(now)
}
