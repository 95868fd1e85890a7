package broker

import (
	"context"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// accessed keeps when a value was last read in plain. It informs people and
// decides nothing, so that nothing authenticates it; what is recorded is the log.
func accessed(tx *sqldb.Tx, p vault.Path, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO accesses (path, at) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET at = excluded.at`, string(p), sqldb.Micros(at))
	return err
}

// forgetAccess forgets it with the secret.
func forgetAccess(tx *sqldb.Tx, p vault.Path) error {
	_, err := tx.Exec(`DELETE FROM accesses WHERE path = ?`, string(p))
	return err
}

// withAccesses fills in when the values of secrets were last read. What was read
// before the secret was made was another one of that path.
func (b *Broker) withAccesses(ctx context.Context, all []vault.Metadata) error {
	if len(all) == 0 {
		return nil
	}
	args := make([]any, len(all))
	at := make(map[vault.Path]time.Time, len(all))
	for i := range all {
		args[i] = string(all[i].Path)
	}
	err := b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Query(`SELECT path, at FROM accesses WHERE path IN (?`+strings.Repeat(`, ?`, len(all)-1)+`)`, args, func(scan func(...any) error) error {
			var path string
			var micros int64
			err := scan(&path, &micros)
			at[vault.Path(path)] = sqldb.Time(micros)
			return err
		})
	})
	for i := range all {
		if t := at[all[i].Path]; !t.Before(all[i].CreatedAt) {
			all[i].AccessedAt = t
		}
	}
	return err
}
