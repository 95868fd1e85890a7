package handle

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Store keeps handles in the state database. It is safe for concurrent use,
// also by several processes on one database.
type Store struct {
	rows *rowmac.Key

	mu     sync.Mutex
	swept  map[string]time.Time // by principal or family: when it was last swept here
	purged place                // how far [Store.Purge] has come
}

// New returns a Store whose rows are authenticated by a key.
func New(rows *rowmac.Key) *Store { return &Store{rows: rows, swept: map[string]time.Time{}} }

// Mint makes a handle. text is shown once and is not stored. The oldest live
// handles of the principal give way when there are [MaxLive] already, or of its
// family when there are [MaxFamily]. It costs two statements, and with a family a
// count of its handles when somebody else has written. Error: *[vault.InvalidError].
func (s *Store) Mint(tx *sqldb.Tx, spec Spec, now time.Time) (text string, h Handle, err error) {
	if err := spec.check(); err != nil {
		return "", Handle{}, err
	}
	if text, err = mint.New(Prefix); err != nil {
		return "", Handle{}, err
	}
	destinations, err := json.Marshal(spec.Destinations)
	if err != nil {
		return "", Handle{}, err
	}
	ttl := spec.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	hash := mint.Hash(text)
	r := row{
		Handle: Handle{
			ID: mint.ID("h_", hash), Principal: spec.Principal, Path: spec.Path, Version: spec.Version,
			Shape: spec.Shape, Rule: spec.Rule, Parent: spec.Parent, Tier: spec.Tier, MaxUses: spec.Uses,
		},
		hash: hash[:], destinations: destinations, created: sqldb.Micros(now), expires: sqldb.Micros(now.Add(ttl)),
	}
	known, err := nextSeq(tx, spec.Principal)
	if err != nil {
		return "", Handle{}, err
	}
	r.seq = known.newest
	err = s.insert(tx, &r)
	if err == nil && known.newest-known.oldest >= MaxLive {
		err = s.makeRoom(tx, spec.Principal, known, now)
	}
	if err == nil && spec.Family != "" {
		err = s.familyRoom(tx, spec.Family, r.ID, now)
	}
	if err != nil {
		return "", Handle{}, err
	}
	h = r.Handle
	h.Destinations, h.CreatedAt, h.ExpiresAt = spec.Destinations, sqldb.Time(r.created), sqldb.Time(r.expires)
	return text, h, nil
}
