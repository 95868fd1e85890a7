package handle

import (
	"encoding/json"
	"fmt"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the table of handles. hash is SHA-256 of the text and id
// is made of it; seq orders the handles of one principal; destinations is the
// JSON of []vault.Destination.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{{Name: "handle/1", SQL: []string{
		`CREATE TABLE handles (
			id           TEXT   NOT NULL PRIMARY KEY,
			hash         {blob} NOT NULL,
			principal    TEXT   NOT NULL,
			seq          BIGINT NOT NULL,
			path         TEXT   NOT NULL,
			version      BIGINT NOT NULL,
			destinations TEXT   NOT NULL,
			shape        TEXT   NOT NULL,
			rule         TEXT   NOT NULL,
			parent       TEXT   NOT NULL,
			created_at   BIGINT NOT NULL,
			expires_at   BIGINT NOT NULL,
			revoked_at   BIGINT NOT NULL,
			max_uses     BIGINT NOT NULL,
			used         BIGINT NOT NULL
		)`,
		`CREATE INDEX handles_ring ON handles (principal, seq)`,
	}}}
}

// columns is what [row] reads, in its order.
const columns = `id, hash, principal, path, version, destinations, shape, rule, parent, created_at, expires_at, revoked_at, max_uses, used`

type row struct {
	Handle
	hash         []byte
	destinations []byte
	created      int64
	expires      int64
	revoked      int64
}

func (r *row) scan(scan func(...any) error) error {
	return scan(&r.ID, &r.hash, &r.Principal, &r.Path, &r.Version, &r.destinations, &r.Shape, &r.Rule, &r.Parent,
		&r.created, &r.expires, &r.revoked, &r.MaxUses, &r.Used)
}

// handle completes what was scanned.
func (r *row) handle() (Handle, error) {
	r.CreatedAt, r.ExpiresAt, r.RevokedAt = sqldb.Time(r.created), sqldb.Time(r.expires), sqldb.Time(r.revoked)
	if err := json.Unmarshal(r.destinations, &r.Destinations); err != nil {
		return Handle{}, fmt.Errorf("%w: destinations of handle %s", vault.ErrCorrupt, r.ID)
	}
	return r.Handle, nil
}
