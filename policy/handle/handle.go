// Package handle mints the tickets that models carry in place of secrets, and
// takes them back: references, never values.
//
// The one rule: a handle opens nothing for anybody but the principal it was
// minted for, before its time is over, as often as it may; each use is counted
// before anything is opened, under the write lock and over the count that was
// read, so that no race between goroutines or processes gains a use.
//
//	handles := handle.New(rows)
//	text, h, err := handles.Mint(tx, handle.Spec{Principal: who.ID(), Path: p, Destinations: to}, now)
//	for _, f := range handle.Find(header) {
//		h, err := handles.Spend(tx, who.ID(), f.Text, now)
//	}
//
// A handle is [Prefix] and 28 characters as package mint makes them:
//
//	ash_ | 22 base62 characters, 131 random bits | 6 base62 digits of checksum
//
// Only its SHA-256 is stored. Its public [Handle.ID] ("h_" and ten base62
// digits made of that hash) stands in logs and lists and leads nowhere.
//
// Every row is authenticated (package rowmac), the count with it: who can write
// the database can neither make a handle nor give one another owner, secret,
// destination, time or count. He can remove a handle, and put its row back as it
// was earlier, with uses that were spent since or before it was revoked, until
// its time is over.
//
// Choice: a principal has at most [MaxLive] live handles, and then the oldest
// few give way, so that an agent in a loop neither fills the database nor locks
// itself out. Refusing the next one was rejected: nobody would be there to
// clear the old ones. Handles whose time is over do not count. So are the tokens of
// one agent bounded together ([MaxFamily]), of which there may be ten thousand.
//
// Not here: whether the policy and the destinations still allow a use
// (policy/broker), and where in a request a handle may stand (policy/redeem).
package handle

import (
	"errors"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Prefix starts every handle.
const Prefix = "ash_"

// Limits of a handle.
const (
	DefaultTTL = 15 * time.Minute
	MaxTTL     = 24 * time.Hour
	MaxLive    = 1000 // for each principal; the newest 969 never give way
	// MaxFamily is for all principals of one [Spec.Family] together; the newest 9,900
	// never give way to it.
	MaxFamily = 10_000
)

// Keep is how long [Store.Purge] leaves a handle that has expired, so that its
// holder hears that it expired and not that it is unknown.
const Keep = time.Hour

// maxSkew is how far a handle's issue may lie ahead of now. Further ahead it
// was made under a clock that was wrong (package clock), and so is its expiry.
const maxSkew = 5 * time.Minute

// The errors of using a handle. The last three are told to its own principal
// only; another's handle is [ErrUnknown].
var (
	// ErrMistyped: the text is not a handle as it was given out: a character is
	// wrong, missing or too many. Copy it again.
	ErrMistyped = errors.New("handle is mistyped")
	// ErrUnknown: no such handle, or not this principal's. Ask for a new one.
	ErrUnknown = errors.New("no such handle")
	// ErrExpired: its time is over, or it was issued under a clock that was
	// ahead. Ask for a new one.
	ErrExpired = errors.New("handle has expired")
	// ErrExhausted: it was used as often as it may be. Ask for a new one.
	ErrExhausted = errors.New("handle has no uses left")
	// ErrRevoked: somebody ended it. Ask the owner why.
	ErrRevoked = errors.New("handle was revoked")
)

// Handle is what is known of a handle but its text. Times are UTC with
// microsecond precision.
type Handle struct {
	ID           string // public name, "h_" and ten base62 digits
	Principal    string // identity.Principal.ID of the only one who may use it
	Path         vault.Path
	Version      int                 // pinned version; [vault.Latest] follows rotations
	Destinations []vault.Destination // where its value could go when it was issued
	Shape        string              // how it was shown, "sk-proj-{handle}"; "" is bare
	Rule         string              // policy rule that allowed it
	Parent       string              // id of the handle it was made from, if any
	Tier         vault.Tier          // up to which tier people approved it; "": it needed no approval
	CreatedAt    time.Time
	ExpiresAt    time.Time // never zero
	RevokedAt    time.Time // zero: not revoked
	MaxUses      int       // 0: not counted
	Used         int
	Damaged      bool // this desk did not write it so; only in [Store.List]
}

// judge says why the condition [spendable] does not hold, or nil when it does.
func (h *Handle) judge(now time.Time) error {
	switch {
	case !h.RevokedAt.IsZero():
		return ErrRevoked
	case !now.Before(h.ExpiresAt), h.CreatedAt.After(now.Add(maxSkew)):
		return ErrExpired
	case h.MaxUses != 0 && h.Used >= h.MaxUses:
		return ErrExhausted
	default:
		return nil
	}
}

// Spec is what a handle is made of. Principal and Path are required.
type Spec struct {
	Principal    string
	Path         vault.Path
	Version      int // [vault.Latest] follows rotations
	Destinations []vault.Destination
	Shape        string
	TTL          time.Duration // 0: [DefaultTTL]; at most [MaxTTL]
	Uses         int           // 0: not counted
	Rule         string
	Parent       string
	Tier         vault.Tier // up to which people approved it
	// Family is what the ids of all principals begin with that share [MaxFamily] with
	// this one; "": none do.
	Family string
}

func (s *Spec) check() error {
	switch {
	case s.Principal == "":
		return &vault.InvalidError{Field: "principal", Rule: "is empty"}
	case !strings.HasPrefix(s.Principal, s.Family):
		return &vault.InvalidError{Field: "family", Rule: "is another's"}
	case s.Path == "":
		return &vault.InvalidError{Field: "path", Rule: "is empty"}
	case s.Version < 0:
		return &vault.InvalidError{Field: "version", Rule: "is negative"}
	case s.TTL < 0:
		return &vault.InvalidError{Field: "ttl", Rule: "is negative"}
	case s.TTL > MaxTTL:
		return &vault.InvalidError{Field: "ttl", Rule: "is longer than " + MaxTTL.String()}
	case s.Uses < 0:
		return &vault.InvalidError{Field: "uses", Rule: "is negative"}
	default:
		return nil
	}
}
