package broker

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Events of a vault that is given a new key.
const (
	RekeyBegun = "vault.rekey_begun" // the new key is in use; its target is the kind of source that seals it
	Rekeyed    = "vault.rekeyed"     // the key before it opens nothing any more
)

// RecordRekey returns what puts one of these events on record, in the transaction
// that causes it, for the owner. Error of what it returns: *[Denied].
func (b *Broker) RecordRekey(ctx context.Context, who identity.Principal, event, source string) func(tx *sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		if who.Kind != identity.Owner {
			return ownerOnly()
		}
		e := b.entry(who, event)
		e.Target = source
		_, err := b.c.Audit.Append(tx, e)
		if err == nil {
			b.seal.leaf(ctx, b)
		}
		return err
	}
}
