package cli

import (
	"context"
	"fmt"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) policyCommand() *cobra.Command {
	return group("policy", "Check the policy and explain its decisions", a.policyCheck(), a.policyExplain())
}

func (a *app) policyCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check the policy for errors and for rules that do nothing", Args: cobra.MaximumNArgs(1),
		Long: "Reads FILE, by default the home's policy.yaml. An error ends with code 8 and its line and\n" +
			"column. Rules that can never apply, paths that match nothing in the vault and the like are\n" +
			"warnings; they do not fail the check.",
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := a.ready()
			if err != nil {
				return err
			}
			file := h.policy()
			if len(args) == 1 {
				file = args[0]
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return usage("%w", err)
			}
			rules, err := policy.Parse(file, text)
			if err != nil {
				return err
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				paths, failed := everyPath(cmd.Context(), d, who)
				warnings := rules.Check(paths)
				if err := failed(); err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(map[string]any{"file": file, "hash": rules.Hash(), "warnings": warnings})
				}
				for _, w := range warnings {
					a.note("%s:%d: %s: %s", file, w.Line, w.Rule, w.Msg)
				}
				return nil
			})
		},
	}
}

// everyPath walks the vault page by page; failed tells afterwards whether the
// walk was cut short.
func everyPath(ctx context.Context, d *desk, who identity.Principal) (paths iter.Seq[vault.Path], failed func() error) {
	var err error
	return func(yield func(vault.Path) bool) {
		r := broker.ListRequest{Limit: vault.MaxPageSize}
		for {
			var page vault.Page
			if page, err = d.List(ctx, who, r); err != nil {
				return
			}
			for _, m := range page.Items {
				if !yield(m.Path) {
					return
				}
			}
			if r.After = page.Next; r.After == "" {
				return
			}
		}
	}, func() error { return err }
}

func (a *app) policyExplain() *cobra.Command {
	var agent, door, right, method, url string
	var stdio bool
	cmd := &cobra.Command{
		Use: "explain PATH", Short: "Say what an agent may do with a secret, and why", Args: exactly(1, "PATH"),
		Long:    "Answers as the explain_access tool would answer that agent. Nothing is done or counted.",
		Example: "  coatcheck policy explain production/openai/api-key --url https://api.openai.com/v1/models",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := vault.ParsePath(args[0])
			if err != nil {
				return err
			}
			r, err := policy.ParseRight(right)
			if err != nil {
				return err
			}
			through, err := policy.ParseDoor(door)
			if err != nil {
				return err
			}
			who := identity.Principal{
				Kind: identity.Agent, Name: agent, Door: through,
				Stdio: stdio || agent == identity.Local && through == policy.DoorMCP,
			}
			return a.asOwner(cmd.Context(), func(d *desk, _ identity.Principal) error {
				said, err := d.Explain(cmd.Context(), who, broker.ExplainRequest{Path: p, Right: r, Method: method, URL: url})
				if err != nil {
					return err
				}
				return a.writeExplanation(said)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&agent, "agent", identity.Local, "the agent that would ask")
	flags.BoolVar(&stdio, "stdio", false, "it would ask over stdio (always so for local)")
	flags.StringVar(&door, "door", string(policy.DoorMCP), "the door it would come through: mcp, rest or egress")
	flags.StringVar(&right, "right", string(policy.Use), "list, use, reveal, set, rotate, delete or token")
	flags.StringVar(&method, "method", "GET", "method of the request, with --url")
	flags.StringVar(&url, "url", "", "the request a handle would be used for")
	return cmd
}

func (a *app) writeExplanation(x broker.Explanation) error {
	type considered struct {
		Rule string `json:"rule"`
		Why  string `json:"why"`
	}
	if a.json {
		row := struct {
			Allowed    bool         `json:"allowed"`
			Code       string       `json:"code,omitempty"`
			Rule       string       `json:"rule,omitempty"`
			Reason     string       `json:"reason"`
			Next       string       `json:"next,omitempty"`
			Considered []considered `json:"considered"`
		}{x.Allowed, x.Code, x.Rule, x.Reason, x.Next, []considered{}}
		for _, c := range x.Considered {
			row.Considered = append(row.Considered, considered{c.Rule, c.Why})
		}
		return a.writeJSON(row)
	}
	verdict := "allowed"
	if !x.Allowed {
		verdict = "refused (" + x.Code + ")"
	}
	lines := [][]string{{verdict, x.Reason}}
	if x.Next != "" {
		lines = append(lines, []string{"next", x.Next})
	}
	for _, c := range x.Considered {
		lines = append(lines, []string{"rule " + c.Rule, c.Why})
	}
	if err := a.table(lines); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
