package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) policyCommand() *cobra.Command {
	return group("policy", "Check the policy, test it and explain its decisions", a.policyCheck(), a.policyExplain(), a.policySchema(), a.policyTest())
}

func (a *app) policyCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check the policy for errors and for rules that do nothing", Args: atMostOne("FILE"),
		Long: "Reads FILE, by default the home's policy.yaml. An error ends with code 8 and its line and\n" +
			"column. Rules that can never apply, paths that match nothing in the vault and the like are\n" +
			"warnings; they do not fail the check. So is that some of the file's own tests fail: 'coatcheck\n" +
			"policy test' says which and why.",
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := a.ready(cmd.Context(), false)
			if err != nil {
				return err
			}
			var rules *policy.Policy
			file := h.policy()
			if len(args) == 1 {
				file = args[0]
				rules, err = readPolicy(file)
			} else {
				rules, err = h.readPolicy()
			}
			if err != nil {
				return err
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				warnings, err := d.lint(cmd.Context(), who, rules)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(map[string]any{"file": file, "hash": rules.Hash(), "warnings": warningRows(warnings)})
				}
				for _, w := range warnings {
					a.note("%s:%d: %s: %s", file, w.Line, w.Rule, w.Msg)
				}
				return nil
			})
		},
	}
}

// readPolicy reads some policy file.
func readPolicy(file string) (*policy.Policy, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the file the owner named
	if err != nil {
		return nil, usage("FILE cannot be read: %w", err)
	}
	return policy.Parse(file, text)
}

// readPolicy reads the home's policy as a door does.
func (h home) readPolicy() (*policy.Policy, error) {
	file, err := policy.OpenFile(h.policy(), nil)
	if err != nil {
		return nil, policyFault(err)
	}
	return file.Current(), nil
}

// policyFault says what is wrong with a home's policy, with code 8 or, where
// others can write to it, 6.
func policyFault(err error) error {
	var syntax *policy.SyntaxError
	switch {
	case errors.As(err, &syntax), errors.Is(err, vault.ErrLoosePermissions):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return codedError{fmt.Errorf("there is no policy: %w", err), exitPolicy, "'coatcheck init' writes the one a new home has."}
	default:
		return codedError{fmt.Errorf("the policy cannot be read: %w", err), exitPolicy, ""}
	}
}

type warningRow struct {
	Rule    string `json:"rule,omitempty"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

func warningRows(warnings []policy.Warning) []warningRow {
	rows := []warningRow{}
	for _, w := range warnings {
		rows = append(rows, warningRow{w.Rule, w.Line, w.Msg})
	}
	return rows
}

// lint checks rules against the secrets there are; while there are none, that a
// rule matches none says nothing.
func (d *desk) lint(ctx context.Context, who identity.Principal, rules *policy.Policy) ([]policy.Warning, error) {
	failing := testWarnings(rules)
	first, err := d.List(ctx, who, broker.ListRequest{Limit: 1})
	if err != nil || len(first.Items) == 0 {
		return append(rules.Check(nil), failing...), err
	}
	paths, failed := everyPath(ctx, d, who)
	warnings := rules.Check(paths)
	return append(warnings, failing...), failed()
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
	var agent, door, right, method, url, now, client, ip string
	var stdio bool
	cmd := &cobra.Command{
		Use: "explain PATH", Short: "Say what an agent may do with a secret, and why", Args: exactly(1, "PATH"),
		Long: "Answers as the explain_access tool would answer that agent. Nothing is done or counted.\n" +
			"A rule's condition is asked about the secret's own tier and tags, and about the time, the client\n" +
			"and the address that are given here.",
		Example: "  coatcheck policy explain production/openai/api-key --url https://api.openai.com/v1/models\n" +
			"  coatcheck policy explain production/openai/api-key --now 2026-01-31T07:00:00+01:00 --ip 10.1.2.3",
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
			if url == "" && cmd.Flags().Changed("method") {
				return usage("--method stands without --url")
			}
			if url != "" && r != policy.Use {
				return usage("--url is for --right use only: nothing else has a destination")
			}
			at, err := moment(now)
			if err != nil {
				return err
			}
			if _, err := netip.ParseAddr(ip); ip != "" && err != nil {
				return usage("--ip is not an address; write it without a port, like 10.1.2.3")
			}
			who := identity.Principal{
				Kind: identity.Agent, Name: agent, Door: through, Client: client, Addr: ip,
				Stdio: stdio || agent == identity.Local && through == policy.DoorMCP,
			}
			return a.asOwner(cmd.Context(), func(d *desk, _ identity.Principal) error {
				said, err := d.Explain(cmd.Context(), who, broker.ExplainRequest{Path: p, Right: r, Method: method, URL: url, Now: at, Hypothetical: true})
				if err != nil {
					return err
				}
				return a.writeExplanation(said)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&agent, "agent", identity.Local, "the agent that would ask, by `NAME`")
	flags.BoolVar(&stdio, "stdio", false, "it would ask over stdio (always so for local)")
	flags.StringVar(&door, "door", string(policy.DoorMCP), "how it would come in, a `DOOR`: mcp, rest or egress")
	flags.StringVar(&right, "right", string(policy.Use), "what it would do, a `RIGHT`: list, use, reveal, set, rotate, delete or token")
	flags.StringVar(&method, "method", "GET", "how the request would be made, with --url, a `METHOD`")
	flags.StringVar(&url, "url", "", "where the request would go, a `URL`")
	flags.StringVar(&now, "now", "", "when it would ask, a `TIME` like 2026-01-31T07:00:00+01:00; else now")
	flags.StringVar(&client, "client", "", "what its client would call itself, a `LABEL` like cursor/1.2")
	flags.StringVar(&ip, "ip", "", "where it would come from, an `ADDRESS` without a port; none over stdio")
	return cmd
}

// moment reads a point in time; "" is the zero time.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usage("--now is not a point in time; write it like 2026-01-31T07:00:00+01:00")
	}
	return t, nil
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
