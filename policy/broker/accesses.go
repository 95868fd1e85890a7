package broker

import (
	"context"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// accessesEvery is how often the times of readings are written.
const accessesEvery = time.Second

// withAccesses fills in when the values of secrets were last read in plain. What
// was read before the secret was made was another one of that path. Nothing
// authenticates the times; what is recorded is the log.
func (b *Broker) withAccesses(ctx context.Context, all []vault.Metadata) error {
	if len(all) == 0 {
		return nil
	}
	paths := make([]string, len(all))
	for i := range all {
		paths[i] = string(all[i].Path)
	}
	at, err := b.accesses.of(ctx, paths)
	for i := range all {
		if t := at[paths[i]]; !t.Before(all[i].CreatedAt) {
			all[i].AccessedAt = t
		}
	}
	return err
}
