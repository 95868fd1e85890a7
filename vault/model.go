package vault

import (
	"slices"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Limits of a secret.
const (
	MaxValueBytes       = 1 << 20 // one value: 1 byte to 1 MiB
	MaxDescriptionBytes = 1024
	MaxTags             = 50
	MaxTagBytes         = 256 // each tag's name and each tag's text
	MaxExtraBytes       = 4096
	MaxDestinations     = 32
)

// TrashRetention is how long a deleted secret can be restored.
const TrashRetention = 30 * 24 * time.Hour

// Tier says how carefully a secret is given out (CONTRACT §8).
type Tier string

// The tiers, from the least to the most guarded.
const (
	Standard  Tier = "standard"
	Sensitive Tier = "sensitive"
	Critical  Tier = "critical"
)

// Tiers lists every tier in rising order.
func Tiers() []Tier { return []Tier{Standard, Sensitive, Critical} }

// Rank is 0 for [Standard] and rises with the care; what is no tier has the
// highest, so that it opens nothing.
func (t Tier) Rank() int {
	if i := slices.Index(Tiers(), t); i >= 0 {
		return i
	}
	return len(Tiers())
}

// ParseTier returns the tier named s; "" means [Standard]. The error is an
// *[InvalidError] of field "tier".
func ParseTier(s string) (Tier, error) {
	return oneOf("tier", Tier(s), Standard, Tiers())
}

// Type says what kind of credential a secret is. It informs people and
// proposes defaults; it is never used for access control.
type Type string

// The types of CONTRACT §4, both editions.
const (
	APIKey            Type = "api_key"
	OAuthToken        Type = "oauth_token"   //nolint:gosec // a kind of credential, not one
	DBCredential      Type = "db_credential" //nolint:gosec // a kind of credential, not one
	SSHKey            Type = "ssh_key"
	Certificate       Type = "certificate"
	PaymentCredential Type = "payment_credential"
	Custom            Type = "custom"
)

// Types lists every type.
func Types() []Type {
	return []Type{APIKey, OAuthToken, DBCredential, SSHKey, Certificate, PaymentCredential, Custom}
}

// ParseType returns the type named s; "" means [Custom]. The error is an
// *[InvalidError] of field "type".
func ParseType(s string) (Type, error) {
	return oneOf("type", Type(s), Custom, Types())
}

func oneOf[T ~string](field string, got, whenEmpty T, known []T) (T, error) {
	if got == "" {
		return whenEmpty, nil
	}
	if slices.Contains(known, got) {
		return got, nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	return "", invalid(field, "is not one of %s", strings.Join(names, ", "))
}

// Metadata is everything about a secret but its value. It may be shown to
// whoever may list the path. Times are UTC with microsecond precision.
type Metadata struct {
	Path         Path
	Type         Type
	Tier         Tier
	Description  string
	Tags         map[string]string // nil when there are none; owned by the receiver
	Extra        string            // a JSON object as [ParseExtra] returns it: what else programs keep with it; "" when nothing
	Destinations []Destination     // where the value may land; none means no use
	Generate     Recipe            // how a rotation makes the next value; "" when a human enters it
	Version      int               // the current version, from 1
	Binary       bool              // the current value is not UTF-8 and is carried as base64 in text
	CreatedAt    time.Time
	UpdatedAt    time.Time // the last change of value or metadata
	AccessedAt   time.Time // when a value was last read in plain, as far as the desk knows; zero: never
	ExpiresAt    time.Time // zero: never
	DeletedAt    time.Time // zero: live; else in the trash since then
}

// Secret is a value with its metadata. Version is the number of Value, which
// is not the current one when an older one was asked for.
type Secret struct {
	Metadata
	Value secret.Value
}

// Version is one entry of a secret's history.
type Version struct {
	Number    int
	CreatedAt time.Time
	Current   bool
	// ReadableUntil is when a rotation retires this version: zero for the
	// current one and for versions replaced without rotation, which stay
	// readable by number; a time in the past for a retired one (CONTRACT §19.9–11).
	ReadableUntil time.Time
}
