package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// onTime refuses a desk whose time is not to be relied on.
func (d *desk) onTime() error {
	switch err := d.clock.Check(); {
	case errors.Is(d.mark, vault.ErrCorrupt):
		return codedError{d.mark, exitStorage, toOwner(broker.SetTheClock)}
	case d.mark != nil:
		return d.mark
	case err != nil:
		return codedError{err, exitRefused, toOwner(broker.SetTheClock)}
	default:
		return nil
	}
}

// examineClock says whether the system's clock is behind.
func (d *desk) examineClock() finding {
	if err := d.onTime(); err != nil {
		return finding{"fail", "clock", err.Error() + ": mcp and serve do not start, no handle is issued or used until it is set right, or 'coatcheck clock accept'"}
	}
	return finding{"ok", "clock", "not behind this vault's time by more than " + clock.Tolerance.String()}
}

func (a *app) clockCommand() *cobra.Command {
	return group("clock", "Accept the time after the clock was set back", a.clockAccept())
}

func (a *app) clockAccept() *cobra.Command {
	return &cobra.Command{
		Use: "accept", Short: "Make the present time of this machine the vault's time", Args: nothing,
		Long: "For a machine whose clock was ahead and is right now. The vault remembers how far time had\n" +
			"come; while the clock is more than 5 minutes behind that, mcp and serve do not start, and no\n" +
			"handle is issued or used. This makes the present time the vault's time, on record.\n\n" +
			"What was stored while the clock was ahead keeps the times it got: see 'coatcheck secret list'\n" +
			"and 'coatcheck secret history'. Old versions that were rotated away then stay readable for what\n" +
			"is left of their grace. Handles, tokens and requests from then can no longer be used.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				wall, seen, changed, err := d.AcceptClock(cmd.Context(), who)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(map[string]any{"time": wall.UTC(), "was": seen.UTC(), "accepted": changed})
				}
				if !changed {
					a.note("The clock is not behind; there is nothing to accept.")
					return nil
				}
				a.note("It is %s for this vault now; it had been %s.", wall.UTC().Format(time.RFC3339), seen.UTC().Format(time.RFC3339))
				return nil
			})
		},
	}
}
