package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) handleCommand() *cobra.Command {
	return group("handle", "Issue handles and revoke them", a.handleIssue(), a.handleList(), a.handleRevoke())
}

func (a *app) handleIssue() *cobra.Command {
	var r broker.IssueRequest
	var ttl string
	cmd := &cobra.Command{
		Use: "issue PATH", Short: "Issue a handle to an agent", Args: exactly(1, "PATH"),
		Long: "Issues a handle and writes it to standard output. Only the agent named by --agent can\n" +
			"use it, and only while the policy lets that agent use the secret.",
		Example: "  coatcheck handle issue production/openai/api-key --agent claude-web --ttl 1h --uses 10",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.Path, err = vault.ParsePath(args[0]); err != nil {
				return err
			}
			if r.TTL, err = parseDuration("ttl", ttl); err != nil {
				return err
			}
			if r.TTL == 0 || r.TTL > handle.MaxTTL {
				return usage("--ttl is not more than 0s and at most %dh", int(handle.MaxTTL.Hours()))
			}
			if r.Uses < 0 {
				return usage("--uses is negative")
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if err := d.knows(cmd.Context(), who, r.For); err != nil {
					return err
				}
				ticket, err := d.Issue(cmd.Context(), who, r)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(struct {
						Handle    string    `json:"handle"`
						ID        string    `json:"id"`
						Agent     string    `json:"agent"`
						ExpiresAt time.Time `json:"expires_at"`
						Uses      int       `json:"uses,omitempty"`
					}{ticket.Text, ticket.ID, r.For, ticket.ExpiresAt, ticket.Uses})
				}
				a.note("Handle %s for %s, until %s.", ticket.ID, r.For, ticket.ExpiresAt.Format(time.RFC3339))
				_, err = fmt.Fprintln(a.Out, ticket.Text)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&r.For, "agent", identity.Local, "the agent the handle is for, by `NAME`")
	cmd.Flags().StringVar(&ttl, "ttl", "15m", "how long it lives, a `DURATION` up to 24h")
	cmd.Flags().IntVar(&r.Uses, "uses", 0, "how often it can be used, a `NUMBER` (default not counted)")
	cmd.Flags().IntVar(&r.Version, "version", vault.Latest, "pin a version, by its `NUMBER` (default follows rotations)")
	return cmd
}

func (a *app) handleList() *cobra.Command {
	type row struct {
		ID        string    `json:"id"`
		Principal string    `json:"principal"`
		Path      string    `json:"path"`
		ExpiresAt time.Time `json:"expires_at,omitzero"`
		Used      int       `json:"used"`
		Uses      int       `json:"uses,omitempty"`
		Damaged   bool      `json:"damaged,omitempty"`
	}
	var agent string
	cmd := &cobra.Command{
		Use: "list", Short: "List live handles by their ids", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if agent != "" {
					if err := d.knows(cmd.Context(), who, agent); err != nil {
						return err
					}
				}
				handles, err := d.ListHandles(cmd.Context(), who, agent)
				if err != nil {
					return err
				}
				rows := []row{}
				table := [][]string{{"ID", "FOR", "PATH", "EXPIRES", "USED"}}
				for _, h := range handles {
					rows = append(rows, row{h.ID, h.Principal, string(h.Path), h.ExpiresAt, h.Used, h.MaxUses, h.Damaged})
					if h.Damaged { // nothing but the id is known
						table = append(table, []string{shown(h.ID), "?", "?", "?", "damaged"})
						continue
					}
					used := fmt.Sprint(h.Used)
					if h.MaxUses > 0 {
						used = fmt.Sprintf("%d of %d", h.Used, h.MaxUses)
					}
					table = append(table, []string{h.ID, h.Principal, string(h.Path), h.ExpiresAt.Format(time.RFC3339), used})
				}
				return a.rows(map[string]any{"handles": rows}, table)
			})
		},
	}
	cmd.Flags().StringVar(&agent, "agent", "", "only those of one agent, by `NAME`")
	return cmd
}

func (a *app) handleRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a handle at once", Args: exactly(1, "ID"),
		Long: "Ends the handle of that id, as 'handle list' and the record show it; the handle itself is\nnot stored anywhere.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if err := d.RevokeHandle(cmd.Context(), who, args[0]); err != nil {
					return err
				}
				return a.done(map[string]any{"id": args[0], "revoked": true})
			})
		},
	}
}
