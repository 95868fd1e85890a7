package approval

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Limits of what a request says.
const (
	MaxDetails          = 64
	MaxDetailBytes      = 16 << 10 // names and texts of all details
	MaxScopes           = 100
	MaxScopeBytes       = 32 << 10 // of all scopes: room for the most and longest that package identity takes
	MaxDescriptionBytes = 1024
	MaxReasonBytes      = 1024 // of a vote

	maxIDBytes    = 256 // of a principal
	maxLabelBytes = 256
	maxQuorum     = 10
)

// Detail is one thing an approver must see: a destination, an argument.
type Detail struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Spec is what is asked for, by whom and on what terms. All text is printable
// UTF-8 on one line; the caller escapes what is not.
type Spec struct {
	// Digest is what makes two requests of one requester the same: SHA-256 over
	// everything whose change must end an approval. Required.
	Digest    [32]byte
	Requester string // identity.Principal.ID of the only one who may use it. Required
	Agent     string // id of the agent behind a token, else Requester. Required

	Action policy.Right // all but [policy.List]
	Path   vault.Path   // what it is about; "" with [policy.Token]
	Scopes []string     // of a token; none with any other action
	Tier   vault.Tier   // the highest it touches
	// Details are everything else that is agreed to, to be shown whole.
	Details     []Detail
	Description string // what the requester says it is for: a claim, to be shown as one
	Client      string // what the requester's client calls itself: a label, no identity
	Addr        string
	Rule        string // the policy's rule that allowed it

	// Approval is the terms it is asked on: Quorum 1 to 10, Delay 0 or more,
	// Expires a microsecond or more.
	policy.Approval
}

func (s *Spec) check() error {
	for _, f := range [...]struct {
		field, text string
		limit       int
		required    bool
	}{
		{"requester", s.Requester, maxIDBytes, true},
		{"agent", s.Agent, maxIDBytes, true},
		{"description", s.Description, MaxDescriptionBytes, false},
		{"client", s.Client, maxLabelBytes, false},
		{"addr", s.Addr, maxLabelBytes, false},
		{"rule", s.Rule, maxLabelBytes, false},
	} {
		if f.required && f.text == "" {
			return &vault.InvalidError{Field: f.field, Rule: "is empty"}
		}
		if err := checkText(f.field, f.text, f.limit); err != nil {
			return err
		}
	}
	switch {
	case s.Digest == [32]byte{}:
		return &vault.InvalidError{Field: "digest", Rule: "is empty"}
	case !slices.Contains(vault.Tiers(), s.Tier):
		return &vault.InvalidError{Field: "tier", Rule: "is unknown"}
	case s.Quorum < 1 || s.Quorum > maxQuorum:
		return &vault.InvalidError{Field: "quorum", Rule: "is not 1 to " + strconv.Itoa(maxQuorum)}
	case s.Delay < 0:
		return &vault.InvalidError{Field: "delay", Rule: "is negative"}
	case s.Expires < time.Microsecond:
		return &vault.InvalidError{Field: "expires", Rule: "is less than a microsecond"}
	}
	if err := s.checkSubject(); err != nil {
		return err
	}
	if len(s.Details) > MaxDetails {
		return &vault.InvalidError{Field: "details", Rule: "are more than " + strconv.Itoa(MaxDetails)}
	}
	var all []string
	for _, d := range s.Details {
		all = append(all, d.Name, d.Text)
	}
	return checkTexts("details", all, MaxDetailBytes)
}

// checkSubject: a token has scopes, and everything else a path.
func (s *Spec) checkSubject() error {
	if s.Action == policy.List || !slices.Contains(policy.Rights(), s.Action) {
		return &vault.InvalidError{Field: "action", Rule: "is not one that is approved"}
	}
	if s.Action != policy.Token {
		if len(s.Scopes) > 0 {
			return &vault.InvalidError{Field: "scopes", Rule: "are for tokens only"}
		}
		_, err := vault.ParsePath(string(s.Path))
		return err
	}
	switch {
	case s.Path != "":
		return &vault.InvalidError{Field: "path", Rule: "is not for tokens"}
	case len(s.Scopes) == 0 || len(s.Scopes) > MaxScopes:
		return &vault.InvalidError{Field: "scopes", Rule: "are not 1 to " + strconv.Itoa(MaxScopes)}
	}
	return checkTexts("scopes", s.Scopes, MaxScopeBytes)
}

// checkTexts is checkText for several that have a limit together.
func checkTexts(field string, texts []string, limit int) error {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if size > limit {
		return &vault.InvalidError{Field: field, Rule: "are longer than " + strconv.Itoa(limit) + " bytes together, more than people are asked to approve at once"}
	}
	for _, text := range texts {
		if err := checkText(field, text, limit); err != nil {
			return err
		}
	}
	return nil
}

// checkText admits what an approver reads as it is: no control characters, and
// none that are invisible or change how others are shown.
func checkText(field, s string, limit int) error {
	switch {
	case len(s) > limit:
		return &vault.InvalidError{Field: field, Rule: "is too long"}
	case !utf8.ValidString(s):
		return &vault.InvalidError{Field: field, Rule: "is not valid UTF-8"}
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return &vault.InvalidError{Field: field, Rule: "has a character that is not printable"}
	}
	return nil
}
