package identity

import (
	"net/netip"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// TokenPrefix starts every scoped token made here, and [TokenIDPrefix] its public name.
const (
	TokenPrefix   = "ast_tok_"
	TokenIDPrefix = "tok_"
)

// Limits of a token.
const (
	DefaultTokenTTL = time.Hour
	MinTokenTTL     = time.Minute
	MaxTokenTTL     = 24 * time.Hour
	MaxTokens       = 10_000    // of one agent that can be used
	MaxTokenUses    = 1_000_000 // of one whose uses are counted
)

// KeepTokens is how long [Store.PurgeTokens] leaves a token that has expired: a
// clock that is ahead for less loses none.
const KeepTokens = time.Hour

// maxSkew is how far a token's issue may lie ahead of now. Further ahead it was
// made under a clock that was wrong (package clock), and so is its expiry.
const maxSkew = 5 * time.Minute

// Token is what is known of a scoped token but its text. Times are UTC with
// microsecond precision.
type Token struct {
	ID          string // public name, "tok_" and ten base62 digits
	Agent       string // whose it is; it ends with the agent's registration
	Scopes      Scopes
	Addrs       []netip.Prefix // where it is taken from; none: everywhere
	Description string
	Tier        vault.Tier // the most guarded one that it was approved for
	Approval    string     // id of that approval; "": it needed none
	Issuer      string     // id of the admin who issued it for the agent; "": no admin did
	CreatedAt   time.Time
	ExpiresAt   time.Time // never zero
	RevokedAt   time.Time // zero: not revoked
	MaxUses     int       // 0: not counted
	Used        int
	Damaged     bool // this desk did not write it so; only in [Store.Tokens]
}

// TokenSpec is what a token is made of. Agent and Scopes are required.
type TokenSpec struct {
	Agent       string // a registered one
	Scopes      Scopes
	TTL         time.Duration // 0: [DefaultTokenTTL]; [MinTokenTTL] to [MaxTokenTTL]
	MaxUses     int           // 0: not counted; at most [MaxTokenUses]
	Addrs       []netip.Prefix
	Description string
	Tier        vault.Tier // ""; [vault.Standard]
	Approval    string
	Issuer      string // [Principal.ID] of the admin who issues it for the agent; "": no admin does
}

// Check finds what no token may be made of, without asking whether there is such
// an agent. The error is a *[vault.InvalidError] of field scope, ttl, max_uses,
// address or description.
func (s *TokenSpec) Check() error {
	switch {
	case s.Scopes.IsZero():
		return &vault.InvalidError{Field: "scope", Rule: "is missing"}
	case s.TTL != 0 && s.TTL < MinTokenTTL:
		return &vault.InvalidError{Field: "ttl", Rule: "is shorter than 60 seconds"}
	case s.TTL > MaxTokenTTL:
		return &vault.InvalidError{Field: "ttl", Rule: "is longer than 86400 seconds"}
	case s.MaxUses < 0:
		return &vault.InvalidError{Field: "max_uses", Rule: "is negative"}
	case s.MaxUses > MaxTokenUses:
		return &vault.InvalidError{Field: "max_uses", Rule: "is more than 1000000"}
	}
	if _, err := addrText(s.Addrs); err != nil {
		return err
	}
	return checkDescription(s.Description)
}
