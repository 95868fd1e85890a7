package policy

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Right is one thing a principal may do to a secret.
type Right string

// The rights. Use gets a handle and redeems it; Reveal is plaintext and no
// default grants it; Token asks for a narrower credential.
const (
	List   Right = "list"
	Use    Right = "use"
	Reveal Right = "reveal"
	Set    Right = "set"
	Rotate Right = "rotate"
	Delete Right = "delete"
	Token  Right = "token"
)

// Rights lists every right, in the order a policy file spells them.
func Rights() []Right { return []Right{List, Use, Reveal, Set, Rotate, Delete, Token} }

// Door is a way into the desk.
type Door string

// The doors. A policy names mcp, rest and egress; the command line belongs to
// the owner, whom the policy is not asked about.
const (
	DoorMCP    Door = "mcp"
	DoorREST   Door = "rest"
	DoorEgress Door = "egress"
	DoorCLI    Door = "cli"
)

// Doors lists the doors a policy may name. Without doors a rule is about the
// first and the last.
func Doors() []Door { return []Door{DoorMCP, DoorREST, DoorEgress} }

// Subject is who asks and through which door.
type Subject struct {
	Agent string // the agent's name, "local" for the unnamed one over stdio
	Stdio bool   // it came over stdio, so that @stdio means it too
	Door  Door
	// Client is what the client calls itself: a label for conditions and the
	// log, which anybody can choose. It is no identity.
	Client string
	IP     string // address without port; "" where there is none, as over stdio
}

// Request is one question to a policy.
type Request struct {
	Subject
	Right Right
	Path  vault.Path // as vault.ParsePath returns it
	// Target is where the value would go. Nil means that it is not known yet,
	// as when a handle is issued. Only [Use] has a target; with another right
	// it is ignored.
	Target *vault.Target
	// Now is when it is asked, for conditions. Zero is not known: a condition
	// that needs it is an error, so an allow rule does not hold and a deny does.
	Now time.Time
	// Secret is what conditions may ask about the secret at Path. Nil means that
	// it was not looked up: a condition that needs it is an error. It is needed
	// only when [Policy.NeedsSecret] says so.
	Secret *Secret
}

// Secret is what a condition may know of a secret. The zero Secret is that
// there is none: no tier and no tags.
type Secret struct {
	Tier vault.Tier
	Tags map[string]string
}

// Rate is at most Count uses in Per. The zero Rate is no limit.
type Rate struct {
	Count int           // 1 to 1,000,000
	Per   time.Duration // a second, a minute, an hour or a day
}

// Limits are upper bounds; a zero field is not limited by the policy. What
// holds without a policy's limit, such as the default lifetime of a handle,
// is for the caller to apply.
type Limits struct {
	TTL  time.Duration // lifetime of a handle, 1s to 365 days
	Uses int           // uses of one handle, 1 to 1,000,000
	Rate Rate
}

// Narrow is one entry of a rule's "to": the requests to Host with one of the
// Methods and one of the Paths, and how much of their answers is shown.
type Narrow struct {
	Host    string       // as vault.ParseHostPattern returns it
	Methods []string     // upper case, sorted; none: every method
	Paths   []vault.Glob // over the canonical URL path, sorted; none: every path
	Answer  vault.Answer // of an allow rule; at most this, and at most what the secret's destination shows
}

// Decision is the answer to a [Request].
type Decision struct {
	Allowed bool
	// Rule names the rule that decided; "" when no rule applied. Where several
	// apply, it is the one with the longest literal path prefix, then the
	// first by name.
	Rule string
	// RuleHash is the first 12 hex digits of SHA-256 over that rule's
	// canonical form (see [Policy.Format]); "" when no rule applied.
	RuleHash string
	// Reason is one sentence: the deny rule's own reason or a fixed one.
	Reason string
	// Limits are the most generous of the allow rules that hold, field by field.
	Limits Limits
	// Shape is how a handle looks, with {handle} where it stands; "" is bare.
	// It comes from the first of the holding rules that has one, in the order
	// of Rule.
	Shape string
	// Permanent says of an allowed [Delete] that it may also destroy for good:
	// one of the holding rules has permanent. Otherwise the trash is the end.
	Permanent bool
	// To is nil when one of the holding rules does not narrow; otherwise every
	// entry of the holding rules' "to", sorted, without repetition.
	To []Narrow
	// Answer is how much of the answer to a [Request] with a target may be shown:
	// what one of the holding rules' entries for it shows. It is in full when To
	// is nil and when there is no target.
	Answer vault.Answer
}

// Approval is how one tier's approvals are given.
type Approval struct {
	Quorum  int           // how many people must agree, 1 to 10
	Delay   time.Duration // waiting time after the last of them agreed
	Expires time.Duration // how long a request waits for them, and then to be used; longer than Delay
}
