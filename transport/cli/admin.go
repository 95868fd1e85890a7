package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func (a *app) adminCommand() *cobra.Command {
	return group("admin", "Register admins, who approve, and revoke them", a.adminAdd(), a.adminList(), a.adminRevoke())
}

func (a *app) adminAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add NAME", Short: "Register an admin and print the key", Args: exactly(1, "NAME"),
		Long: "Registers a person who approves what agents ask for. The key goes to standard output, alone, and\n" +
			"is shown this once. It must not be kept in the home, nor where an agent runs: it is what an agent\n" +
			"that reaches the home does not have. Over REST the key also manages secrets, agents and tokens.\n\n" +
			"'approvals approve' and 'approvals deny' take it from COATCHECK_ADMIN_KEY or ask for it, hidden.",
		Example: "  coatcheck admin add ada",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				key, err := d.AddAdmin(cmd.Context(), who, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(struct {
						Name string `json:"name"`
						Key  string `json:"key"`
					}{args[0], key})
				}
				a.note("The key of %s. It must not be kept in the home, %s, nor where an agent can read it:\n"+
					"whoever has it can approve. %[1]s puts it into %[3]s, or types it when asked, for: coatcheck approvals approve ID",
					args[0], d.home, adminKeyName)
				_, err = fmt.Fprintln(a.Out, key)
				return err
			})
		},
	}
}

func (a *app) adminList() *cobra.Command {
	type row struct {
		Name      string    `json:"name"`
		CreatedAt time.Time `json:"created_at,omitzero"`
		RevokedAt time.Time `json:"revoked_at,omitzero"`
		Damaged   bool      `json:"damaged,omitempty"`
	}
	return &cobra.Command{
		Use: "list", Short: "List admins", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				admins, err := d.ListAdmins(cmd.Context(), who)
				if err != nil {
					return err
				}
				rows := []row{}
				table := [][]string{{"NAME", "CREATED", "STATE"}}
				for _, one := range admins {
					rows = append(rows, row{one.Name, one.CreatedAt, one.RevokedAt, one.Damaged})
					switch created := one.CreatedAt.Format(time.DateOnly); {
					case one.Damaged: // nothing but the name is known
						table = append(table, []string{shown(one.Name), "?", "damaged"})
					case one.RevokedAt.IsZero():
						table = append(table, []string{one.Name, created, "active"})
					default:
						table = append(table, []string{one.Name, created, "revoked"})
					}
				}
				return a.rows(map[string]any{"admins": rows}, table)
			})
		},
	}
}

func (a *app) adminRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End an admin and the key at once", Args: exactly(1, "NAME"),
		Long: "Ends an admin at once. What that admin approved and nobody has used yet is pending again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if err := d.RevokeAdmin(cmd.Context(), who, args[0]); err != nil {
					return err
				}
				return a.done(map[string]any{"name": args[0], "revoked": true})
			})
		},
	}
}

// adminKeyName is where an admin's key is looked for: no flag, which would show
// in process lists, and no file, which would be kept.
const adminKeyName = "COATCHECK_ADMIN_KEY"

// admin is the one whose key is in the environment, or is typed at a terminal.
// Every key that is no admin's is refused in the same words.
func (a *app) admin(ctx context.Context, d *desk) (who identity.Principal, err error) {
	key := a.getenv(adminKeyName)
	if key == "" {
		line, there, err := a.hidden(ctx, "Admin key")
		if err != nil {
			return who, err
		}
		if !there {
			return who, codedError{
				errors.New("an admin's key is needed, and there is no terminal to ask at"), exitKey,
				"Put it into " + adminKeyName + ". The owner makes one: coatcheck admin add NAME",
			}
		}
		key = string(line)
	}
	key = strings.TrimSpace(key)
	err = d.db.View(ctx, func(tx *sqldb.Tx) error {
		who, err = d.agents.ByCredential(tx, key, "", d.clock.Now())
		return err
	})
	if errors.Is(err, identity.ErrUnauthenticated) || err == nil && who.Kind != identity.Admin {
		err = codedError{
			errors.New("that is no admin's key"), exitKey,
			"Give the key that 'coatcheck admin add NAME' printed; 'coatcheck admin list' shows who there is.",
		}
	}
	if err != nil {
		return identity.Principal{}, err
	}
	who.Door = policy.DoorCLI
	return who, nil
}
