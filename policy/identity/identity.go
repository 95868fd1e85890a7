// Package identity knows who asks: the owner, admins, agents, and the scoped
// tokens of agents.
//
// The one rule: a [Principal] comes from a credential, never from what a
// client says of itself, and every failure to make one looks the same.
//
//	who := identity.New(rows)
//	key, err := who.Add(tx, identity.NewAgent{Name: "claude"}, now) // shown once, stored as a hash
//	p, err := who.ByCredential(tx, key, addr, now)                  // a key or a token
//	p.Door, p.Addr = policy.DoorREST, addr
//	err = who.Alive(tx, p, now)                                     // at each request: revoked means at once
//	if p.Allows(policy.Reveal, path) { … }                          // and then the policy is asked
//	err = who.SpendToken(tx, p, 1, now)                             // in the transaction of what is recorded
//
// Who is who:
//
//	owner                    opens the home's key; only the command line makes it
//	admin:NAME               by a key that the home does not hold
//	agent:local              the unnamed agent over stdio
//	agent:NAME               a registered agent: by key on network doors, by name over stdio
//	token:AGENT/tok_NNNNNNNNNN  a scoped token of that agent, whose rules hold for it
//
// An agent may be limited to namespaces and to [Scopes], and a token always is:
// its [Bounds], beyond which it gets nothing whatever the policy allows. A token
// carries what its own scopes and its agent's bounds both allow, and ends with the
// agent's registration.
//
// Keys and tokens are made by package mint; a table holds their SHA-256. A token's
// public id is made of that, so that one look finds its row by the text.
//
// Every row is authenticated (package rowmac), a token's count with it: who can
// write the database can neither make a principal, nor exchange a key, widen a
// bound or set back a count. He can remove a row, and put it back as it was
// earlier: before it was revoked, had its key changed, or was used.
//
// Choice: a name may be registered again after it was revoked, which is how a
// key is replaced. A Principal remembers which registration it was made from,
// so that a session opened with the old key ends with it, and so does a token.
//
// Choice: scopes and namespaces are kept as the text they are written as, which
// makes a Principal comparable with nothing to point at. Pointers to parsed ones,
// one for each different list, were rejected: who makes many tokens fills the
// table they would have to be found in.
//
// Choice: an agent has at most [MaxTokens] tokens that can be used, and then the
// next is refused. That the oldest give way, as handles do, was rejected: a
// program relies on the time that it was told.
//
// Not here: what anybody may do within its bounds (package policy), and whether a
// token needs an approval (package approval).
package identity

import (
	"errors"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Kind says what sort of principal asks.
type Kind string

// The kinds of a [Principal].
const (
	Owner       Kind = "owner"
	Admin       Kind = "admin"
	Agent       Kind = "agent"
	ScopedToken Kind = "token"
)

// Names that nobody may be registered under, in any spelling of case.
const (
	Local     = "local" // the agent over stdio that gives no name
	ownerName = "owner"
)

// KeyPrefix starts every agent key made here; keys with other prefixes are
// looked up just the same.
const KeyPrefix = "ass_live_"

// The errors of this package.
var (
	// ErrUnauthenticated: no live principal has that credential. It says no
	// more on purpose. Give a valid key, or register the agent.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrAgentExists: a live agent has that name. Revoke it first, or choose another name.
	ErrAgentExists = errors.New("agent already exists")
	// ErrUnknownAgent: no live agent has that name. List the agents.
	ErrUnknownAgent = errors.New("no such agent")
	// ErrAdminExists: a live admin has that name. Revoke it first, or choose another name.
	ErrAdminExists = errors.New("admin already exists")
	// ErrUnknownAdmin: no live admin has that name. List the admins.
	ErrUnknownAdmin = errors.New("no such admin")
	// ErrUnknownToken: no token has that id. List the tokens.
	ErrUnknownToken = errors.New("no such token")
	// ErrTooManyTokens: the agent has [MaxTokens] that can be used. Revoke some,
	// ask for fewer uses or a shorter time, or share one.
	ErrTooManyTokens = errors.New("the agent has too many tokens")
)

// Principal is who asks, through which door. The zero Principal is nobody.
// Principals compare equal with == when they are the same caller.
type Principal struct {
	Kind   Kind
	Name   string     // the agent's or admin's name, also of a token's agent; "owner" for the owner
	Token  string     // public id of the token, "tok_…"; "" of other kinds
	Tier   vault.Tier // of a token: the most guarded one it was approved for; "" of other kinds
	Stdio  bool       // started by an MCP client over stdio
	Door   policy.Door
	Addr   string // network address without port; "" where there is none
	Client string // what the client calls itself: a label for the log, never an identity
	Bounds Bounds // what it may do at most

	since     int64 // registration this was made from, microseconds; 0: none
	uncounted bool  // a token whose uses are not counted
}

// ID is the principal as handles and the log name it: "owner", "admin:NAME",
// "agent:NAME" or "token:AGENT/tok_NNNNNNNNNN".
func (p Principal) ID() string {
	switch p.Kind {
	case Owner:
		return ownerName
	case ScopedToken:
		return string(p.Kind) + ":" + p.Name + "/" + p.Token
	case Agent, Admin:
	}
	return string(p.Kind) + ":" + p.Name
}

// SessionOwner names p and the registration it was made from: what a session or
// a stream belongs to. A name that was registered anew owns nothing of before.
func (p Principal) SessionOwner() string {
	return p.ID() + "#" + strconv.FormatInt(p.since, 36)
}

// Subject is the principal as rules see it: a token as its agent. No rule is about
// an admin.
func (p Principal) Subject() policy.Subject {
	s := policy.Subject{Agent: p.Name, Stdio: p.Stdio, Door: p.Door, Client: p.Client, IP: p.Addr}
	if p.Kind == Admin {
		s.Agent = ""
	}
	return s
}

// OwnerCLI is the owner at the command line.
func OwnerCLI() Principal {
	return Principal{Kind: Owner, Name: ownerName, Door: policy.DoorCLI}
}

// LocalStdio is the agent that an MCP client started without a name.
func LocalStdio() Principal {
	return Principal{Kind: Agent, Name: Local, Stdio: true, Door: policy.DoorMCP}
}

// Registration is one registered agent or admin, as listed.
type Registration struct {
	Name        string
	Stdio       bool
	Description string
	Namespaces  Namespaces // what it is limited to; none: not limited
	Scopes      Scopes     // what it is limited to; none: not limited
	Registrar   string     // id of the admin who registered an agent; "": the owner did
	CreatedAt   time.Time
	RevokedAt   time.Time // zero: live
	ActiveAt    time.Time // an agent's last request, as the broker knows it; zero: not known
	KeyHint     string    // which sort of key it has, nothing of the key; "" over stdio
	Damaged     bool      // this desk did not write it so: it is refused, and only the name is given
}
