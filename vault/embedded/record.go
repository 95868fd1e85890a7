package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// record is the sealed JSON of one secret: all of its metadata but the path,
// which its associated data holds. Times are microseconds since 1970 UTC,
// absent for never.
type record struct {
	Type        vault.Type          `json:"type"`
	Tier        vault.Tier          `json:"tier"`
	Description string              `json:"description,omitempty"`
	Tags        map[string]string   `json:"tags,omitempty"`
	Extra       string              `json:"extra,omitempty"`
	To          []vault.Destination `json:"to,omitempty"`
	Generate    vault.Recipe        `json:"generate,omitempty"`
	Version     int                 `json:"version"`
	Binary      bool                `json:"binary,omitempty"`
	Created     int64               `json:"created"`
	Updated     int64               `json:"updated"`
	Expires     int64               `json:"expires,omitempty"`
	Deleted     int64               `json:"deleted,omitempty"`
}

// row is one opened line of vault_secrets. The secret owns the versions first
// to Version.
type row struct {
	vault.Metadata
	first int
}

func (k *Keyring) sealRecord(tx *sqldb.Tx, r row) ([]byte, error) {
	plain, err := json.Marshal(record{
		Type: r.Type, Tier: r.Tier, Description: r.Description, Tags: r.Tags, Extra: r.Extra, To: r.Destinations, Generate: r.Generate,
		Version: r.Version, Binary: r.Binary, Created: sqldb.Micros(r.CreatedAt), Updated: sqldb.Micros(r.UpdatedAt),
		Expires: sqldb.Micros(r.ExpiresAt), Deleted: sqldb.Micros(r.DeletedAt),
	})
	if err != nil {
		return nil, err
	}
	return k.seal(tx, plain, k.recordAAD(r.Path, r.first))
}

// openRecord trusts the sealed copy; a clear column that disagrees is damage.
func (k *Keyring) openRecord(tx *sqldb.Tx, path string, first int, deletedAt int64, sealed []byte) (row, error) {
	plain, err := k.open(tx, sealed, k.recordAAD(vault.Path(path), first))
	if err != nil && !errors.Is(err, vault.ErrCorrupt) {
		return row{}, err
	}
	var r record
	if err != nil || json.Unmarshal(plain, &r) != nil || r.Deleted != deletedAt || r.Version < first {
		return row{}, fmt.Errorf("%w: metadata of %q", vault.ErrCorrupt, path)
	}
	return row{first: first, Metadata: vault.Metadata{
		Path: vault.Path(path), Type: r.Type, Tier: r.Tier, Description: r.Description, Tags: r.Tags, Extra: r.Extra, Destinations: r.To,
		Generate: r.Generate, Version: r.Version, Binary: r.Binary, CreatedAt: sqldb.Time(r.Created),
		UpdatedAt: sqldb.Time(r.Updated), ExpiresAt: sqldb.Time(r.Expires), DeletedAt: sqldb.Time(r.Deleted),
	}}, nil
}

func (k *Keyring) recordAAD(p vault.Path, first int) []byte {
	return k.versionAAD("coatcheck.secret.v1|", p, first)
}

func (k *Keyring) versionAAD(schema string, p vault.Path, n int) []byte {
	aad := make([]byte, 0, len(schema)+len(k.id)+len(p)+22)
	aad = append(aad, schema...)
	aad = append(aad, k.id...)
	aad = append(aad, '|')
	aad = append(aad, p...)
	aad = append(aad, '|')
	return strconv.AppendInt(aad, int64(n), 10)
}
