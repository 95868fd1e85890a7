// Package identity knows who asks: the owner, and agents by key or by name.
//
// The one rule: a [Principal] comes from a credential, never from what a
// client says of itself, and every failure to make one looks the same.
//
//	agents := identity.New(rows)
//	key, err := agents.Add(tx, identity.NewAgent{Name: "claude"}, now) // shown once, stored as a hash
//	who, err := agents.ByKey(tx, key)
//	who.Door, who.Addr = policy.DoorMCP, addr
//	err = agents.Alive(tx, who)                      // at each request: revoked means at once
//
// Who is who:
//
//	owner        opens the home's key; only the command line makes it
//	agent:local  the unnamed agent over stdio
//	agent:NAME   a registered agent: by key on network doors, by name over stdio
//
// Every row is authenticated (package rowmac): who can write the database can
// neither make an agent nor exchange a key. He can remove an agent, and put an
// agent's row back as it was earlier, before it was revoked or had its key changed.
//
// Choice: a name may be registered again after it was revoked, which is how a
// key is replaced. A Principal remembers which registration it was made from,
// so that a session opened with the old key ends with it.
//
// An agent may be limited to namespaces and to scopes ([Bounds]), beyond which it
// gets nothing whatever the policy allows; within them the policy decides.
//
// Not here: what anybody may do (package policy).
package identity

import (
	"errors"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
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

// Names that no agent may be registered under, in any spelling of case.
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
)

// Principal is who asks, through which door. The zero Principal is nobody.
// Principals compare equal with == when they are the same caller.
type Principal struct {
	Kind   Kind
	Name   string // the agent's name; "owner" for the owner
	Stdio  bool   // started by an MCP client over stdio
	Door   policy.Door
	Addr   string // network address without port; "" where there is none
	Client string // what the client calls itself: a label for the log, never an identity
	Bounds Bounds // what it may do at most

	since int64 // registration this was made from, microseconds; 0: none
}

// ID is the principal as handles and the log name it: "owner" or "agent:NAME".
func (p Principal) ID() string {
	if p.Kind == Owner {
		return ownerName
	}
	return string(p.Kind) + ":" + p.Name
}

// SessionOwner names p and the registration it was made from: what a session or
// a stream belongs to. A name that was registered anew owns nothing of before.
func (p Principal) SessionOwner() string {
	return p.ID() + "#" + strconv.FormatInt(p.since, 36)
}

// Subject is the principal as rules see it.
func (p Principal) Subject() policy.Subject {
	return policy.Subject{Agent: p.Name, Stdio: p.Stdio, Door: p.Door, Client: p.Client, IP: p.Addr}
}

// OwnerCLI is the owner at the command line.
func OwnerCLI() Principal {
	return Principal{Kind: Owner, Name: ownerName, Door: policy.DoorCLI}
}

// LocalStdio is the agent that an MCP client started without a name.
func LocalStdio() Principal {
	return Principal{Kind: Agent, Name: Local, Stdio: true, Door: policy.DoorMCP}
}

// Registration is one registered agent, as listed.
type Registration struct {
	Name        string
	Stdio       bool
	Description string
	Namespaces  Namespaces // what it is limited to; none: not limited
	Scopes      Scopes     // what it is limited to; none: not limited
	CreatedAt   time.Time
	RevokedAt   time.Time // zero: live
	KeyHint     string    // which sort of key it has, nothing of the key; "" over stdio
	Damaged     bool      // this desk did not write it so: it is refused, and only the name is given
}
