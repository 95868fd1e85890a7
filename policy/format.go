package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Format returns the canonical form of the policy: YAML that [Parse] reads
// back to a policy with the same Format and the same [Policy.Hash]. Comments
// are not kept. Rules stand in order of their names, lists are sorted, absent
// fields are left out. A rule's canonical form, over which its hash goes, is
// its lines here, from "  - name:" to the last line feed:
//
//   - name: "inference"
//     agents: ["@stdio", "claude-*"]
//     doors: [egress, mcp]
//     paths: ["production/openai/*"]
//     allow: [list, use]
//     when: "agent == \"x\""
//     limits: {ttl: 15m, uses: 100, rate: 60/m}
//     permanent: true
//     to:
//   - {host: "api.openai.com", methods: [POST], paths: ["/v1/*"], answer: "status"}
//     shape: "sk-proj-{handle}"
//     reason: "…"
func (p *Policy) Format() []byte {
	var b strings.Builder
	b.WriteString("version: 1\n")
	if p == nil || len(p.ranked) == 0 {
		b.WriteString("rules: []\n")
	} else {
		b.WriteString("rules:\n")
		for _, r := range p.ranked {
			r.format(&b)
		}
	}
	if p != nil && len(p.approvals) > 0 {
		b.WriteString("approvals:\n")
		for _, tier := range vault.Tiers() {
			if a, ok := p.approvals[tier]; ok {
				b.WriteString("  " + string(tier) + ": {quorum: " + strconv.Itoa(a.Quorum))
				if a.Delay > 0 {
					b.WriteString(", delay: " + formatDuration(a.Delay))
				}
				b.WriteString(", expires: " + formatDuration(a.Expires) + "}\n")
			}
		}
	}
	return []byte(b.String())
}

// Hash returns SHA-256 over [Policy.Format] as 64 hex digits. Two files that
// differ in comments, spacing and order alone have the same hash.
func (p *Policy) Hash() string {
	sum := sha256.Sum256(p.Format())
	return hex.EncodeToString(sum[:])
}

func (r *Rule) hash() string {
	var b strings.Builder
	r.format(&b)
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:6])
}

func (r *Rule) format(b *strings.Builder) {
	line := func(key, value string) { b.WriteString("    " + key + ": " + value + "\n") }
	b.WriteString("  - name: " + strconv.Quote(r.Name) + "\n")
	line("agents", flow(r.Agents, strconv.Quote))
	line("doors", flow(r.Doors, plain))
	line("paths", flow(r.Paths, quoted))
	if r.Deny {
		line("deny", flow(r.Rights, plain))
	} else {
		line("allow", flow(r.Rights, plain))
	}
	if r.When != "" {
		line("when", strconv.Quote(r.When))
	}
	if r.Limits != (Limits{}) {
		line("limits", r.Limits.format())
	}
	if r.Permanent {
		line("permanent", "true")
	}
	if len(r.To) > 0 {
		b.WriteString("    to:\n")
		for _, n := range r.To {
			b.WriteString("      - " + n.format() + "\n")
		}
	}
	if r.Shape != "" {
		line("shape", strconv.Quote(r.Shape))
	}
	if r.Reason != "" {
		line("reason", strconv.Quote(r.Reason))
	}
}

func (l Limits) format() string {
	var parts []string
	if l.TTL > 0 {
		parts = append(parts, "ttl: "+formatDuration(l.TTL))
	}
	if l.Uses > 0 {
		parts = append(parts, "uses: "+strconv.Itoa(l.Uses))
	}
	if l.Rate.Count > 0 {
		parts = append(parts, "rate: "+l.Rate.String())
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (n Narrow) format() string {
	s := "{host: " + strconv.Quote(n.Host)
	if len(n.Methods) > 0 {
		s += ", methods: " + flow(n.Methods, plain)
	}
	if len(n.Paths) > 0 {
		s += ", paths: " + flow(n.Paths, quoted)
	}
	if n.Answer.Show != vault.ShowFull {
		s += ", answer: " + strconv.Quote(n.Answer.String())
	}
	return s + "}"
}

func flow[T any](list []T, text func(T) string) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = text(v)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func plain[T ~string](s T) string { return string(s) }

// quoted is a YAML double-quoted text. Only printable characters come here,
// for which Go's and YAML's escapes agree.
func quoted[T ~string](s T) string { return strconv.Quote(string(s)) }

// String returns the form a policy file uses: "60/m", or "" for no rate.
func (r Rate) String() string {
	if r.Count == 0 {
		return ""
	}
	for _, u := range units {
		if u.per == r.Per {
			return strconv.Itoa(r.Count) + "/" + string(u.letter)
		}
	}
	return strconv.Itoa(r.Count) + "/" + formatDuration(r.Per)
}

// formatDuration writes whole seconds as days, hours, minutes and seconds:
// "15m", "1h30m", "2d".
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, u := range units {
		if n := d / u.per; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + string(u.letter))
			d %= u.per
		}
	}
	return b.String()
}
