package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
)

// approvalRow is a request for approval as JSON. Times are RFC 3339, absent when unset.
type approvalRow struct {
	ID        string            `json:"id"`
	Status    string            `json:"status,omitempty"`
	Requester string            `json:"requester,omitempty"`
	Agent     string            `json:"agent,omitempty"`
	Action    string            `json:"action,omitempty"`
	Path      string            `json:"path,omitempty"`
	Scopes    []string          `json:"scopes,omitempty"`
	Tier      string            `json:"tier,omitempty"`
	Details   []approval.Detail `json:"details,omitempty"`
	// Claims are what the requester and its client say of themselves.
	Claims    claims          `json:"claims,omitzero"`
	Addr      string          `json:"address,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	Quorum    int             `json:"quorum,omitempty"`
	Delay     float64         `json:"delay_seconds,omitempty"`
	Votes     []approval.Vote `json:"votes,omitempty"`
	CreatedAt time.Time       `json:"created_at,omitzero"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	ReadyAt   time.Time       `json:"ready_at,omitzero"`
	DecidedAt time.Time       `json:"decided_at,omitzero"`
	UsedAt    time.Time       `json:"used_at,omitzero"`
	Damaged   bool            `json:"damaged,omitempty"`
}

type claims struct {
	Purpose string `json:"purpose,omitempty"`
	Client  string `json:"client,omitempty"`
}

func describeRequest(r *approval.Request) approvalRow {
	return approvalRow{
		ID: r.ID, Status: string(r.Status), Requester: r.Requester, Agent: r.Agent, Action: string(r.Action), Path: string(r.Path),
		Scopes: r.Scopes, Tier: string(r.Tier), Details: r.Details, Claims: claims{r.Description, r.Client}, Addr: r.Addr, Rule: r.Rule,
		Quorum: r.Quorum, Delay: r.Delay.Seconds(), Votes: r.Votes, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, ReadyAt: r.ReadyAt,
		DecidedAt: r.DecidedAt, UsedAt: r.UsedAt, Damaged: r.Damaged,
	}
}

// askedFor says what each action is for.
var askedFor = map[policy.Right]string{
	policy.Use:    "a handle, to use the secret where it may go",
	policy.Reveal: "the value itself",
	policy.Set:    "a new value in its place",
	policy.Rotate: "a next version",
	policy.Delete: "its deletion",
	policy.Token:  "a token, to read without asking again",
}

// requestText is all that an approver must see. What others wrote fills a column
// of its own and is broken there, so that no long line can look like one of ours.
func requestText(r *approval.Request) (rows [][]string) {
	row := func(name, text string) {
		for i, part := range broken(printed(text)) {
			if i > 0 {
				name = ""
			}
			rows = append(rows, []string{name, part})
		}
	}
	at := func(t time.Time) string { return t.Format(time.RFC3339) }
	row("request", r.ID)
	row("status", fmt.Sprintf("%s, %d of %d admins agreed", r.Status, r.Agreed(), r.Quorum))
	row("agent", r.Agent)
	if r.Requester != r.Agent {
		row("with", r.Requester)
	}
	if r.Addr != "" {
		row("address", r.Addr)
	}
	row("asks for", askedFor[r.Action]+" ("+string(r.Action)+")")
	if r.Path != "" {
		row("path", string(r.Path))
	}
	for _, s := range r.Scopes {
		row("scope", s)
	}
	row("tier", string(r.Tier))
	for _, d := range r.Details {
		row(printed(d.Name), d.Text)
	}
	if r.Rule != "" {
		row("rule", r.Rule)
	}
	if r.Delay > 0 {
		row("delay", r.Delay.String()+" from the last approval")
	}
	row("asked at", at(r.CreatedAt))
	for _, v := range r.Votes {
		name, text := "agreed", v.Admin+" at "+at(v.At)
		if v.Deny {
			name = "denied"
		}
		if v.Reason != "" {
			text += ": " + v.Reason
		}
		row(name, text)
	}
	if !r.ReadyAt.IsZero() {
		row("ready at", at(r.ReadyAt))
	}
	if !r.UsedAt.IsZero() {
		row("used at", at(r.UsedAt))
	}
	row("expires", at(r.ExpiresAt))
	if r.Client != "" {
		row("claims to be", "“"+r.Client+"” (not checked)")
	}
	if r.Description != "" {
		row("claims it is for", "“"+r.Description+"” (not checked)")
	}
	return rows
}

// printed is text as a terminal shows it: what does not print is escaped.
func printed(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return shown(text)
	}
	return text
}

// lineWidth is how wide the second column is at most, so that with the first it
// fits into 80 columns.
const lineWidth = 60

// broken cuts text into lines of that width, and leaves nothing out. What is not
// ASCII is taken for twice as wide as a letter, as some of it is.
func broken(text string) (lines []string) {
	start, width := 0, 0
	for i, r := range text {
		w := 1
		if r > unicode.MaxASCII {
			w = 2
		}
		if width+w > lineWidth {
			lines, start, width = append(lines, text[start:i]), i, 0
		}
		width += w
	}
	return append(lines, text[start:])
}
