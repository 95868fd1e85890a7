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

// Spend counts one use and returns the handle. It is one conditional
// statement: of many at once, exactly as many succeed as there are uses left.
//
// Errors: [ErrMistyped], [ErrUnknown]; [ErrRevoked], [ErrExpired] and
// [ErrExhausted] with the handle, so that its id can be logged.
func (s *Store) Spend(tx *sqldb.Tx, principal, text string, now time.Time) (Handle, error) {
	if err := Check(text); err != nil {
		return Handle{}, err
	}
	hash := mint.Hash(text)
	micros := sqldb.Micros(now)
	var r row
	err := r.scan(tx.QueryRow(`UPDATE handles SET used = used + 1
		WHERE id = ? AND hash = ? AND principal = ? AND `+spendable+`
		RETURNING `+columns, mint.ID("h_", hash), hash[:], principal, micros, sqldb.Micros(now.Add(maxSkew))).Scan)
	switch {
	case err == nil:
		return r.handle()
	case !errors.Is(err, sqldb.ErrNoRows):
		return Handle{}, err
	}
	h, err := s.Lookup(tx, principal, text, now)
	if err == nil { // cannot be, within one transaction
		err = ErrUnknown
	}
	return h, err
}

// Lookup returns the handle without using it. Errors: those of [Store.Spend].
func (*Store) Lookup(tx *sqldb.Tx, principal, text string, now time.Time) (Handle, error) {
	if err := Check(text); err != nil {
		return Handle{}, err
	}
	want := mint.Hash(text)
	r := row{hash: make([]byte, len(want))} // what an unknown handle is compared with
	err := r.scan(tx.QueryRow(`SELECT `+columns+` FROM handles WHERE id = ?`, mint.ID("h_", want)).Scan)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Handle{}, err
	}
	if subtle.ConstantTimeCompare(r.hash, want[:])&subtle.ConstantTimeCompare([]byte(r.Principal), []byte(principal)) != 1 {
		return Handle{}, ErrUnknown
	}
	h, err := r.handle()
	if err != nil {
		return Handle{}, err
	}
	return h, h.judge(now)
}
