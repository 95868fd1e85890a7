package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

func (a *app) agentCommand() *cobra.Command {
	return group("agent", "Register agents and revoke them", a.agentAdd(), a.agentList(), a.agentRevoke())
}

func (a *app) agentAdd() *cobra.Command {
	var stdio bool
	var description string
	var namespaces, scopes []string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Register an agent and print its key", Args: exactly(1, "NAME"),
		Long: "Registers an agent. Its key goes to standard output, alone, and is shown this once;\n" +
			"a ready policy rule for it goes to standard error. With --stdio there is no key:\n" +
			"coatcheck mcp --agent NAME acts as this agent.\n\n" +
			"With --namespace or --scope it gets nothing beyond these, whatever the policy allows. A scope is\n" +
			"secrets:ACTION:PATH: ACTION is read, write, delete or *, and a * in PATH stands for any text.",
		Example: "  coatcheck agent add claude-web > key.txt\n  coatcheck agent add cursor --stdio\n" +
			"  coatcheck agent add ci --namespace production/ci --scope 'secrets:read:*' > key.txt",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			agent := identity.NewAgent{Name: args[0], Stdio: stdio, Description: description}
			if agent.Namespaces, err = identity.ParseNamespaces(namespaces); err != nil {
				return err
			}
			if len(scopes) > 0 {
				if agent.Scopes, err = identity.ParseScopes(scopes); err != nil {
					return err
				}
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				key, err := d.AddAgent(cmd.Context(), who, agent)
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
	cmd.Flags().StringVar(&description, "description", "", "what it is, a `TEXT` for people")
	cmd.Flags().StringArrayVar(&namespaces, "namespace", nil, "limit it to the secrets below a `PATH` (repeatable)")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "limit it to a `SCOPE` such as secrets:read:production/* (repeatable)")
	cmd.Flags().BoolVar(&stdio, "stdio", false, "no key: for an agent that coatcheck mcp --agent NAME starts")
	return cmd
}

func (a *app) agentList() *cobra.Command {
	type row struct {
		Name         string    `json:"name"`
		Stdio        bool      `json:"stdio"`
		Description  string    `json:"description,omitempty"`
		Namespaces   []string  `json:"namespaces,omitempty"`
		Scopes       []string  `json:"scopes,omitempty"`
		RegisteredBy string    `json:"registered_by,omitempty"`
		CreatedAt    time.Time `json:"created_at,omitzero"`
		RevokedAt    time.Time `json:"revoked_at,omitzero"`
		ActiveAt     time.Time `json:"last_active_at,omitzero"`
		Damaged      bool      `json:"damaged,omitempty"`
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
				table := [][]string{{"NAME", "BY", "CREATED", "STATE", "LIMITED TO"}}
				for _, g := range agents {
					rows = append(rows, row{g.Name, g.Stdio, g.Description, g.Namespaces.Strings(), g.Scopes.Strings(), g.Registrar, g.CreatedAt, g.RevokedAt, g.ActiveAt, g.Damaged})
					by, state := "key", "active"
					if g.Stdio {
						by = "stdio"
					}
					if !g.RevokedAt.IsZero() {
						state = "revoked"
					}
					if g.Damaged { // nothing but the name is known
						table = append(table, []string{shown(g.Name), "?", "?", "damaged", "?"})
						continue
					}
					table = append(table, []string{g.Name, by, g.CreatedAt.Format(time.DateOnly), state, inShort(append(g.Namespaces.Strings(), g.Scopes.Strings()...))})
				}
				return a.rows(map[string]any{"agents": rows}, table)
			})
		},
	}
}

func (a *app) agentRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End an agent, its key, its tokens and its handles at once", Args: exactly(1, "NAME"),
		Long: "Ends an agent at once: its key, its tokens, the handles of both, and what it has asked people to\napprove. The name may be given again, with another key.",
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

// inShort is the first of several, and how many more there are.
func inShort(texts []string) string {
	switch len(texts) {
	case 0:
		return "-"
	case 1:
		return texts[0]
	default:
		return fmt.Sprintf("%s and %d more", texts[0], len(texts)-1)
	}
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
