package broker

import (
	"context"
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// onTime refuses while the system's clock is behind this vault's time by more
// than five minutes (package clock): nobody knows then what has expired. The owner may have
// accepted the present time meanwhile, in another process.
func (b *Broker) onTime(ctx context.Context) error {
	behind := b.c.Clock.Check()
	if behind == nil {
		return nil
	}
	if err := b.c.DB.View(ctx, b.c.Clock.Load); err != nil && !errors.Is(err, vault.ErrCorrupt) {
		return err
	}
	if behind = b.c.Clock.Check(); behind == nil {
		return nil
	}
	return &Denied{Code: ClockBehind, Reason: "Nothing is lent now: " + behind.Error() + ".", Next: SetTheClock}
}

// SetTheClock is what to do about a clock that is behind.
const SetTheClock = "Ask the owner to set the clock right or, if it is right now, to run: coatcheck clock accept"

// AcceptClock makes the system's present time this vault's time, for the owner,
// and puts it on record: the one record that may be earlier than the one before.
// Handles, tokens and requests that were made after that time end, and old versions
// that were retired after it have the grace left that they had. A vault elsewhere
// has a clock of its own.
// changed is false when the clock is not behind. Errors: *[Denied].
func (b *Broker) AcceptClock(ctx context.Context, who identity.Principal) (wall, seen time.Time, changed bool, err error) {
	if who.Kind != identity.Owner {
		return wall, seen, false, ownerOnly()
	}
	damaged := b.c.DB.View(ctx, b.c.Clock.Load)
	if damaged != nil && !errors.Is(damaged, vault.ErrCorrupt) {
		return wall, seen, false, damaged
	}
	e := b.entry(who, "clock.accepted")
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if wall, seen, err = b.c.Clock.Accept(tx); err != nil {
			return err
		}
		if damaged == nil && seen.Sub(wall) < time.Second {
			return errOnTime
		}
		e.Time, e.Target = wall, "from "+seen.Format(time.RFC3339)
		if _, err = b.c.Handles.RevokeAfter(tx, wall, wall); err != nil {
			return err
		}
		if _, err = b.c.Agents.RevokeTokensAfter(tx, wall, wall); err != nil {
			return err
		}
		if _, err = b.c.Approvals.CancelAfter(tx, wall, wall); err != nil || b.near == nil {
			return err
		}
		return b.near.TurnBack(tx, wall, seen)
	})
	if errors.Is(err, errOnTime) {
		return wall, seen, false, nil
	}
	if err == nil {
		err = b.c.DB.View(ctx, b.c.Clock.Load)
	}
	return wall, seen, err == nil, err
}

// errOnTime undoes an acceptance that changes nothing. It is no event.
var errOnTime = errors.New("the clock is not behind")
