package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) agentCommand() *cobra.Command {
	return group("agent", "Register agents and revoke them", a.agentAdd(), a.agentList(), a.agentRevoke())
}

func (a *app) agentAdd() *cobra.Command {
	var stdio bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Register an agent and print its key", Args: exactly(1, "NAME"),
		Long: "Registers an agent. Its key goes to standard output, alone, and is shown this once;\n" +
			"a ready policy rule for it goes to standard error. With --stdio there is no key:\n" +
			"coatcheck mcp --agent NAME acts as this agent.",
		Example: "  coatcheck agent add claude-web > key.txt\n  coatcheck agent add cursor --stdio",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				key, err := d.AddAgent(cmd.Context(), who, identity.NewAgent{Name: args[0], Stdio: stdio})
				if err != nil {
					return err
				}
				rule := policy.RuleFor(args[0])
				if a.json {
					return a.writeJSON(struct {
						Name string `json:"name"`
						Key  string `json:"key,omitempty"`
						Rule string `json:"rule"`
					}{args[0], key, rule})
				}
				a.note("A rule for %s, to put into %s:\n\n%s", args[0], d.home.policy(), rule)
				if stdio {
					return nil
				}
				_, err = fmt.Fprintln(a.Out, key)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&stdio, "stdio", false, "no key: for an agent that coatcheck mcp --agent NAME starts")
	return cmd
}

func (a *app) agentList() *cobra.Command {
	type row struct {
		Name      string    `json:"name"`
		Stdio     bool      `json:"stdio"`
		CreatedAt time.Time `json:"created_at,omitzero"`
		RevokedAt time.Time `json:"revoked_at,omitzero"`
		Damaged   bool      `json:"damaged,omitempty"`
	}
	return &cobra.Command{
		Use: "list", Short: "List agents", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				agents, err := d.ListAgents(cmd.Context(), who)
				if err != nil {
					return err
				}
				rows := []row{}
				table := [][]string{{"NAME", "BY", "CREATED", "STATE"}}
				for _, g := range agents {
					rows = append(rows, row{g.Name, g.Stdio, g.CreatedAt, g.RevokedAt, g.Damaged})
					by, state := "key", "active"
					if g.Stdio {
						by = "stdio"
					}
					if !g.RevokedAt.IsZero() {
						state = "revoked"
					}
					if g.Damaged { // nothing but the name is known
						table = append(table, []string{shown(g.Name), "?", "?", "damaged"})
						continue
					}
					table = append(table, []string{g.Name, by, g.CreatedAt.Format(time.DateOnly), state})
				}
				return a.rows(map[string]any{"agents": rows}, table)
			})
		},
	}
}

func (a *app) agentRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End an agent, its key and its handles at once", Args: exactly(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if err := d.RevokeAgent(cmd.Context(), who, args[0]); err != nil {
					return err
				}
				return a.done(map[string]any{"name": args[0], "revoked": true})
			})
		},
	}
}

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

// knows refuses the name of an agent that there is not.
func (d *desk) knows(ctx context.Context, who identity.Principal, agent string) error {
	if agent == identity.Local {
		return nil
	}
	agents, err := d.ListAgents(ctx, who)
	if err == nil && !slices.ContainsFunc(agents, func(g identity.Registration) bool { return g.Name == agent && g.RevokedAt.IsZero() && !g.Damaged }) {
		err = identity.ErrUnknownAgent
	}
	return err
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

// shown is text from a row that this desk did not write, fit for a terminal.
func shown(text string) string {
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

// rows writes a listing as one JSON document, or as a table unless it is empty.
func (a *app) rows(document any, table [][]string) error {
	if a.json {
		return a.writeJSON(document)
	}
	if len(table) == 1 {
		return nil
	}
	return a.table(table)
}
