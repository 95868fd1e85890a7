package handle

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Store keeps handles in the state database. It is safe for concurrent use,
// also by several processes on one database.
type Store struct {
	mu    sync.Mutex
	swept map[string]time.Time // by principal: when its ring was last swept here
}

// New returns a Store.
func New() *Store { return &Store{swept: map[string]time.Time{}} }

// Mint makes a handle. text is shown once and is not stored. The oldest live
// handle of the principal gives way when there are [MaxLive] already. It costs
// two statements, three when the ring is full. Error: *[vault.InvalidError].
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
	created, expires := sqldb.Micros(now), sqldb.Micros(now.Add(ttl))
	h = Handle{
		ID: mint.ID("h_", hash), Principal: spec.Principal, Path: spec.Path, Version: spec.Version,
		Destinations: spec.Destinations, Shape: spec.Shape, Rule: spec.Rule, Parent: spec.Parent,
		CreatedAt: sqldb.Time(created), ExpiresAt: sqldb.Time(expires), MaxUses: spec.Uses,
	}
	newest, oldest, err := nextSeq(tx, spec.Principal)
	if err != nil {
		return "", Handle{}, err
	}
	_, err = tx.Exec(`INSERT INTO handles (`+columns+`, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, ?)`,
		h.ID, hash[:], spec.Principal, string(spec.Path), spec.Version, string(destinations), spec.Shape, spec.Rule, spec.Parent,
		created, expires, spec.Uses, newest)
	if err == nil && newest-oldest >= MaxLive {
		err = s.makeRoom(tx, spec.Principal, oldest, newest, now)
	}
	if err != nil {
		return "", Handle{}, err
	}
	return text, h, nil
}
