package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) policyTest() *cobra.Command {
	return &cobra.Command{
		Use: "test [FILE]", Short: "Ask the rules the policy file's own tests", Args: atMostOne("FILE"),
		Long: "Reads FILE, by default the home's policy.yaml, and asks its rules the requests under tests:. It\n" +
			"says nothing when the answers are the expected ones; else it prints each that is not, with its\n" +
			"line, what was expected, what came and why, and ends with code 1. It looks at no vault: a test\n" +
			"says itself of what tier the secret is and which tags it has.\n\n" +
			"The tests are for people and for CI. A server does not run them when it loads a policy: one that\n" +
			"fails would keep a correction from coming into force.",
		Example: "  coatcheck policy test team.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			rules, file, err := a.policyFile(args)
			if err != nil {
				return err
			}
			results := rules.Test(targetOf)
			var failed []policy.TestResult
			for _, r := range results {
				if len(r.Wrong) > 0 {
					failed = append(failed, r)
				}
			}
			if a.json {
				err = a.writeJSON(map[string]any{"file": file, "tests": len(results), "failed": failureRows(failed)})
			} else {
				err = a.writeFailures(file, len(results), failed)
			}
			if err == nil && len(failed) > 0 {
				err = errQuiet
			}
			return err
		},
	}
}

// policyFile reads the policy that a command names, or the home's. Of the home
// only that file is looked at.
func (a *app) policyFile(args []string) (rules *policy.Policy, file string, err error) {
	if len(args) == 1 {
		rules, err = readPolicy(args[0])
		return rules, args[0], err
	}
	h, err := a.home()
	if err != nil {
		return nil, "", err
	}
	rules, err = h.readPolicy()
	return rules, h.policy(), err
}

// targetOf makes of a test's URL what a door makes of a request's.
func targetOf(method, url string) (vault.Target, error) {
	prepared, err := redeem.Prepare(redeem.Call{Method: method, URL: url})
	if err != nil {
		return vault.Target{}, err
	}
	return prepared.Target(), nil
}

// testWarnings says of the tests of a policy only how many fail.
func testWarnings(rules *policy.Policy) []policy.Warning {
	failed, line, all := 0, 0, rules.Test(targetOf)
	for _, r := range all {
		if len(r.Wrong) > 0 {
			if failed++; line == 0 {
				line = r.Line
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return []policy.Warning{{Rule: "tests", Line: line, Msg: fmt.Sprintf("%d of %d fail: see 'coatcheck policy test'", failed, len(all))}}
}

func (a *app) writeFailures(file string, tests int, failed []policy.TestResult) error {
	for _, r := range failed {
		lines := []string{fmt.Sprintf("%s:%d: %s: %s", file, r.Line, r.Name, strings.Join(r.Wrong, "; "))}
		if r.Explanation.Sentence != "" {
			lines = append(lines, "  "+r.Explanation.Sentence)
		}
		for _, c := range r.Explanation.Considered {
			lines = append(lines, "  rule "+c.Rule+": "+c.Why)
		}
		if _, err := fmt.Fprintln(a.Out, strings.Join(lines, "\n")); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	switch {
	case tests == 0:
		a.note("%s has no tests.", file)
	case len(failed) > 0:
		a.note("%d of %d tests fail.", len(failed), tests)
	}
	return nil
}

type failureRow struct {
	Name   string   `json:"name"`
	Line   int      `json:"line"`
	Wrong  []string `json:"wrong"`
	Reason string   `json:"reason,omitempty"`
}

func failureRows(failed []policy.TestResult) []failureRow {
	rows := []failureRow{}
	for _, r := range failed {
		rows = append(rows, failureRow{r.Name, r.Line, r.Wrong, r.Explanation.Sentence})
	}
	return rows
}

func (a *app) policySchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of a policy file", Args: nothing,
		Long: "Prints the JSON Schema (2020-12) of a policy file, with a description of each field. An editor\n" +
			"with a YAML language server uses it by itself where a file begins with the line that init writes:\n\n" +
			"  # yaml-language-server: $schema=\n  " + policy.SchemaURL,
		Example: "  coatcheck policy schema > policy.schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Out, policy.Schema())
			return err
		},
	}
}
