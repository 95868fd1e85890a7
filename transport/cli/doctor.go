package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// finding is one line of doctor.
type finding struct {
	State string `json:"state"` // ok, warn or fail
	What  string `json:"what"`
	Says  string `json:"says,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the home and say what protects it", Args: nothing,
		Long: "Checks folder, key, vault, policy, record and configuration, and repairs nothing. Like every\n" +
			"command it opens the vault, which brings one of an older version up to date. Ends with code 1\n" +
			"if a check fails; warnings do not count.\n\n" +
			"It says which mode holds. In M0 the desk is within reach of programs that an agent runs, in M2\n" +
			"it is not. M2 shows from the agent's side only: run 'coatcheck doctor --server URL' as the user\n" +
			"that the agent runs as, with its key in COATCHECK_AGENT_KEY. That opens no home.",
		Example: "  coatcheck doctor\n  coatcheck doctor --server unix:///run/coatcheck/desk.sock",
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, findings, err := a.diagnose(cmd.Context(), server, cmd.Flags().Changed("server"))
			if err != nil {
				return err
			}
			failed := false
			rows := [][]string{}
			for _, f := range findings {
				failed = failed || f.State == "fail"
				rows = append(rows, []string{f.State, f.What, oneLine(f.Says)})
			}
			if a.json {
				err = a.writeJSON(document)
			} else {
				err = a.table(rows)
			}
			if err == nil && failed {
				return errQuiet
			}
			return err
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "ask the desk at `URL` as an agent's client would: https://HOST[:PORT] or unix:///PATH")
	return cmd
}

// oneLine makes a cell of what may come from a desk: no line of a table but its
// own, and nothing that a terminal obeys.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// diagnosis is what doctor writes with --json. Home or Server is empty.
type diagnosis struct {
	Home     home      `json:"home,omitempty"`
	Server   string    `json:"server,omitempty"`
	Mode     string    `json:"mode"`
	Why      []string  `json:"why"`
	Findings []finding `json:"findings"`
}

// diagnose examines a desk, or the home if none is asked for.
func (a *app) diagnose(ctx context.Context, server string, asked bool) (diagnosis, []finding, error) {
	if asked {
		findings, seen, err := a.examineDesk(ctx, server)
		return diagnosis{Server: server, Mode: seen.mode, Why: seen.why, Findings: findings}, findings, err
	}
	h, err := a.home()
	if err != nil {
		return diagnosis{}, nil, err
	}
	findings, seen := a.examine(ctx, h)
	return diagnosis{Home: h, Mode: seen.mode, Why: seen.why, Findings: findings}, findings, nil
}

// examine runs the checks that make sense in order; a home that cannot be
// opened ends them.
func (a *app) examine(ctx context.Context, h home) (list []finding, seen outlook) {
	check := func(what string, err error, good string) bool {
		if err != nil {
			list = append(list, finding{"fail", what, err.Error()})
			return false
		}
		list = append(list, finding{"ok", what, good})
		return true
	}
	warn := func(what, says string) { list = append(list, finding{"warn", what, says}) }

	if missing(string(h)) {
		warn("home", fmt.Sprintf("%s does not exist yet; the first command makes it", h))
		return list, atHome(h, false)
	}
	good := check("home", private.CheckDir(string(h)), string(h))
	seen = atHome(h, good)
	key := a.examineKey(h)
	list = append(list, key...)
	good = key[0].State == "ok" && good
	c, err := h.readConfig()
	check("config", err, h.config())
	rules, err := h.readPolicy()
	check("policy", err, h.policy())
	switch lost := h.lost(); {
	case lost != nil:
		check("vault", lost, "")
	case good && missing(h.database()):
		warn("vault", "not there yet: coatcheck init")
	case good:
		list = append(list, a.examineVault(ctx, h, rules, c)...)
	}
	return append(list, seen.finding()), seen
}

func (a *app) examineVault(ctx context.Context, h home, rules *policy.Policy, c config) []finding {
	quiet := *a
	quiet.logLevel = "error"
	d, err := quiet.inspect(ctx, h)
	if err != nil {
		return []finding{{"fail", "vault", err.Error()}}
	}
	list := []finding{{"ok", "vault", h.database()}, d.examineKeyring(ctx, a.now())}
	report, err := d.verify(ctx)
	if err != nil {
		list = append(list, finding{"fail", "record", err.Error()})
	} else {
		list = append(list, finding{"ok", "record", fmt.Sprintf("%d events, unchanged up to %d", report.Records, report.Sealed)})
		if unanchored(report) {
			list = append(list, finding{"warn", "record", noAnchor})
		}
	}
	list = append(list, d.examineRows(ctx)...)
	list = append(list, d.examineClock())
	list = append(list, d.examineApprovals(ctx, rules)...)
	list = append(list, d.examineWebhooks(ctx, c)...)
	page, err := d.List(ctx, identity.OwnerCLI(), broker.ListRequest{Limit: 1})
	if d.away != "" && (err == nil || errors.Is(err, vault.ErrUnsupported)) {
		list = append(list, finding{"ok", "secrets", "at " + d.away + "; policy, destinations and the record are here"})
	}
	switch {
	case errors.Is(err, vault.ErrUnsupported): // it lists by namespace only, and has answered
	case err != nil:
		list = append(list, finding{"fail", "secrets", err.Error()})
	case len(page.Items) == 0:
		list = append(list, finding{"warn", "secrets", "none yet: coatcheck secret set PATH --to HOST"})
	}
	if rules != nil && err == nil {
		warnings, err := d.lint(ctx, identity.OwnerCLI(), rules)
		for _, w := range warnings {
			list = append(list, finding{"warn", "policy", fmt.Sprintf("line %d: %s: %s", w.Line, w.Rule, w.Msg)})
		}
		if err != nil {
			list = append(list, finding{"fail", "secrets", err.Error()})
		}
	}
	if err := d.db.Close(); err != nil {
		list = append(list, finding{"fail", "vault", err.Error()})
	}
	return list
}
