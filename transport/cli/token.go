package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Issue scoped tokens to programs and revoke them", a.tokenIssue(), a.tokenList(), a.tokenRevoke())
}

// tokenRow is a token as JSON, without its text.
type tokenRow struct {
	ID          string    `json:"id"`
	Agent       string    `json:"agent,omitempty"`
	Scopes      []string  `json:"scopes,omitempty"`
	AllowedIPs  []string  `json:"allowed_ips,omitempty"`
	Description string    `json:"description,omitempty"`
	Tier        string    `json:"tier,omitempty"`        // up to which it reads without a further approval
	Approval    string    `json:"approval_id,omitempty"` // which gave it
	CreatedAt   time.Time `json:"created_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Used        int       `json:"used"`
	MaxUses     int       `json:"max_uses,omitempty"`
	Damaged     bool      `json:"damaged,omitempty"`
}

func describeToken(t identity.Token) tokenRow {
	row := tokenRow{
		ID: t.ID, Agent: t.Agent, Scopes: t.Scopes.Strings(), Description: t.Description, Tier: string(t.Tier), Approval: t.Approval,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Used: t.Used, MaxUses: t.MaxUses, Damaged: t.Damaged,
	}
	for _, p := range t.Addrs {
		row.AllowedIPs = append(row.AllowedIPs, addrText(p))
	}
	return row
}

// addrText is a network, or the one address that it is.
func addrText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func (a *app) tokenIssue() *cobra.Command {
	var r broker.TokenRequest
	var ttl string
	var scopes, addrs []string
	cmd := &cobra.Command{
		Use: "issue", Short: "Issue a token of an agent and print it", Args: nothing,
		Long: "Issues a token to a program that works for an agent, for /v1 and every other door. The token goes\n" +
			"to standard output, alone, and is shown this once; what it may do goes to standard error. It\n" +
			"carries no more than the policy and its own limits let its agent do, and ends with the agent.\n" +
			"What you issue needs no approval: it reads secrets up to the tier that is named.\n\n" +
			"A scope is secrets:ACTION:PATH: ACTION is read, write, delete or *, and a * in PATH stands for\n" +
			"any text, slashes too. namespaces:read lists namespaces.",
		Example: "  coatcheck token issue --agent ci --scope secrets:read:production/openai/api-key --ttl 15m --max-uses 1",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if r.Scopes, err = identity.ParseScopes(scopes); err != nil {
				return err
			}
			if r.TTL, err = parseDuration("ttl", ttl); err != nil {
				return err
			}
			if r.TTL < identity.MinTokenTTL || r.TTL > identity.MaxTokenTTL {
				return usage("--ttl is not %ds to %dh", int(identity.MinTokenTTL.Seconds()), int(identity.MaxTokenTTL.Hours()))
			}
			if r.MaxUses < 0 || r.MaxUses > identity.MaxTokenUses {
				return usage("--max-uses is not 1 to %d", identity.MaxTokenUses)
			}
			if r.Addrs, err = identity.ParseAddrs(addrs); err != nil {
				return err
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				issued, err := d.IssueToken(cmd.Context(), who, r)
				if err != nil {
					return err
				}
				return a.writeToken(issued)
			})
		},
	}
	cmd.Flags().StringVar(&r.For, "agent", "", "whose it is, a registered agent by `NAME`")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "what it may do, a `SCOPE` such as secrets:read:production/* (repeatable)")
	cmd.Flags().StringVar(&ttl, "ttl", "1h", "how long it lives, a `DURATION` of 1m to 24h")
	cmd.Flags().IntVar(&r.MaxUses, "max-uses", 0, "how many values it may open or change, a `NUMBER` up to 1000000 (default not counted)")
	cmd.Flags().StringArrayVar(&addrs, "ip", nil, "from where it may be used, an `ADDRESS` or network (repeatable, default anywhere)")
	cmd.Flags().StringVar(&r.Description, "description", "", "what it is for, a `TEXT` for people")
	return cmd
}

func (a *app) writeToken(issued broker.IssuedToken) error {
	row := describeToken(issued.Token)
	if a.json {
		return a.writeJSON(struct {
			Token string `json:"token"`
			tokenRow
		}{issued.Text, row})
	}
	a.note("Token %s of %s, until %s.", row.ID, row.Agent, row.ExpiresAt.Format(time.RFC3339))
	a.note("  may %s", strings.Join(row.Scopes, ", "))
	if row.MaxUses > 0 {
		a.note("  %d uses", row.MaxUses)
	}
	if len(row.AllowedIPs) > 0 {
		a.note("  from %s", strings.Join(row.AllowedIPs, ", "))
	}
	if issued.Tier != vault.Standard {
		a.note("  reads up to %s secrets, and nobody is asked", row.Tier)
	}
	_, err := fmt.Fprintln(a.Out, issued.Text)
	return err
}

func (a *app) tokenList() *cobra.Command {
	var agent string
	cmd := &cobra.Command{
		Use: "list", Short: "List live tokens by their ids", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if agent != "" {
					if err := d.knows(cmd.Context(), who, agent); err != nil {
						return err
					}
				}
				tokens, err := d.tokens(cmd.Context(), who, agent)
				if err != nil {
					return err
				}
				rows := []tokenRow{}
				table := [][]string{{"ID", "AGENT", "EXPIRES", "USED", "SCOPES"}}
				for _, t := range tokens {
					row := describeToken(t)
					rows = append(rows, row)
					if t.Damaged { // nothing but the id is known
						table = append(table, []string{shown(t.ID), "?", "?", "damaged", "?"})
						continue
					}
					used := fmt.Sprint(t.Used)
					if t.MaxUses > 0 {
						used = fmt.Sprintf("%d of %d", t.Used, t.MaxUses)
					}
					table = append(table, []string{t.ID, t.Agent, t.ExpiresAt.Format(time.RFC3339), used, inShort(row.Scopes)})
				}
				return a.rows(map[string]any{"tokens": rows}, table)
			})
		},
	}
	cmd.Flags().StringVar(&agent, "agent", "", "only those of one agent, by `NAME`")
	return cmd
}

// tokens reads every page of the live tokens of an agent, or of all for "".
func (d *desk) tokens(ctx context.Context, who identity.Principal, agent string) (all []identity.Token, err error) {
	for after := ""; ; {
		page, err := d.ListTokens(ctx, who, agent, after, 1000)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a token and its handles at once", Args: exactly(1, "ID"),
		Long: "Ends the token of that id, as 'token list' and the record show it; the token itself is not\nstored anywhere.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				if err := d.RevokeToken(cmd.Context(), who, args[0]); err != nil {
					return err
				}
				return a.done(map[string]any{"id": args[0], "revoked": true})
			})
		},
	}
}
