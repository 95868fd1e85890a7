package cli_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestRequestText: an approver sees all that others wrote, and nothing of it can
// pass for a line of ours or move the cursor.
func TestRequestText(t *testing.T) {
	long := "secrets:read:" + strings.Repeat("a ", 290)
	for name, hostile := range map[string]string{
		"long":    strings.Repeat("production/openai/", 40),
		"blanks":  "x" + strings.Repeat(" ", 200) + "tier      standard",
		"wide":    strings.Repeat("金庫", 200),
		"escapes": "\x1b[2K\rtier  standard\nagreed\tadmin:ada\x00\u202e",
		"raw":     "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			r := approval.Request{ID: "apr_0123456789", Status: approval.Pending, Spec: approval.Spec{
				Requester: "token:ci/tok_0123456789", Agent: "agent:ci", Action: policy.Token, Scopes: []string{long, hostile}, Tier: "critical",
				Details: []approval.Detail{{Name: "ttl_seconds", Text: hostile}}, Description: hostile, Client: hostile,
				Approval: policy.Approval{Quorum: 2},
			}, Votes: []approval.Vote{{Admin: "admin:bob", Reason: hostile}}}
			whole := ""
			for _, row := range cli.RequestText(&r) {
				if row[0] != "" {
					whole += "\n" + row[0] + "\t"
				}
				whole += row[1]
				width := 0
				for _, c := range row[1] {
					width++
					if c >= utf8.RuneSelf {
						width++
					}
					if c < ' ' || c == utf8.RuneError || c == '\u202e' {
						t.Errorf("%q has %q", row[1], c)
					}
				}
				if width > 60 || len(row[0]) > 16 {
					t.Errorf("%q is too wide", row)
				}
			}
			shown := hostile
			switch name {
			case "escapes":
				shown = `\x1b[2K\rtier  standard\nagreed\tadmin:ada\x00\u202e`
			case "raw":
				shown = `\xff\xfe`
			}
			for _, want := range []string{
				"scope\t" + long, "scope\t" + shown, "ttl_seconds\t" + shown, "claims to be\t“" + shown + "” (not checked)",
				"claims it is for\t“" + shown + "” (not checked)", ": " + shown, "with\ttoken:ci/tok_0123456789",
			} {
				if !strings.Contains(whole+"\n", want+"\n") {
					t.Errorf("%q is not there:\n%s", want, whole)
				}
			}
		})
	}
}
