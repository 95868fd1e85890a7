package broker

import (
	"context"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// activityEvery is how often it is written when agents were last active.
const activityEvery = time.Minute

// Seen notes that who was authenticated for a request: [Broker.ListAgents] tells
// of each agent when that last was, by itself or by a token. A door says so; what
// comes over a session that was opened earlier is noted with what it does.
func (b *Broker) Seen(who identity.Principal) {
	if who.Kind == identity.Agent && who.Name != identity.Local || who.Kind == identity.ScopedToken {
		b.activity.note(who.Name, b.now())
	}
}

// admit is [Broker.Alive] for who asks for something that is not recorded.
func (b *Broker) admit(ctx context.Context, who identity.Principal) error {
	err := b.Alive(ctx, who)
	if err == nil {
		b.Seen(who)
	}
	return err
}

// withActivity fills in when agents were last active. What was before an agent was
// registered was another one of that name. Nothing authenticates the times.
func (b *Broker) withActivity(ctx context.Context, all []identity.Registration) error {
	if len(all) == 0 {
		return nil
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	at, err := b.activity.of(ctx, names)
	for i := range all {
		if t := at[names[i]]; !all[i].Damaged && !t.Before(all[i].CreatedAt) {
			all[i].ActiveAt = t
		}
	}
	return err
}
