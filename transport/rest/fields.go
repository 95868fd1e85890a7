package rest

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// secretFields are what both editions say of a secret when they store it; where
// two fields mean the same, one is enough, and both must agree.
type secretFields struct {
	Type        *string            `json:"type,omitempty" jsonschema:"enum=api_key,enum=oauth_token,enum=db_credential,enum=ssh_key,enum=certificate,enum=payment_credential,enum=custom"`
	SecretType  *string            `json:"secret_type,omitempty" jsonschema:"enum=api_key,enum=oauth_token,enum=db_credential,enum=ssh_key,enum=certificate,enum=payment_credential,enum=custom"`
	Tier        *string            `json:"tier,omitempty" jsonschema:"enum=standard,enum=sensitive,enum=critical"`
	AccessTier  *string            `json:"access_tier,omitempty" jsonschema:"enum=standard,enum=sensitive,enum=critical"`
	Description *string            `json:"description,omitempty" jsonschema:"maxLength=1024,nullable"`
	Tags        *map[string]string `json:"tags,omitempty" jsonschema:"nullable" jsonschema_description:"Replace all tags; left out or null: they stay."`
	Metadata    jsontext.Value     `json:"metadata,omitempty" jsonschema:"type=object,nullable" jsonschema_description:"Instead of tags: any members. Replaces all; left out or null: it stays."`
	ExpiresAt   moment             `json:"expires_at,omitzero" jsonschema:"nullable"`
}

// change is what the fields change. Nothing is checked here that a vault checks.
func (f *secretFields) change() (c vault.Change, err error) {
	kind, err := agreed(f.Type, "type", f.SecretType, "secret_type")
	if err != nil {
		return c, err
	}
	tier, err := agreed(f.Tier, "tier", f.AccessTier, "access_tier")
	if err != nil {
		return c, err
	}
	c.Type, c.Tier = (*vault.Type)(kind), (*vault.Tier)(tier)
	c.Description, c.Tags = f.Description, f.Tags
	tags, extra, err := splitMetadata(f.Metadata)
	if err != nil {
		return c, err
	}
	if tags != nil {
		if f.Tags != nil {
			return c, &vault.InvalidError{Field: "tags", Rule: "and metadata cannot both be given"}
		}
		c.Tags, c.Extra = tags, extra
	}
	if !f.ExpiresAt.IsZero() {
		c.ExpiresAt = &f.ExpiresAt.Time
	}
	return c, nil
}

// withoutDefaults is c without the type custom and the tier standard, which the
// published clients of edition B always send. They say nothing about a secret
// that is there, so that a plain rewrite neither lowers a tier that somebody
// chose (CONTRACT §19.27) nor forgets a type; what is new has them by itself.
func withoutDefaults(c vault.Change) vault.Change {
	if c.Type != nil && *c.Type == vault.Custom {
		c.Type = nil
	}
	if c.Tier != nil && *c.Tier == vault.Standard {
		c.Tier = nil
	}
	return c
}

// valueFields carry a value.
type valueFields struct {
	Value    plaintext `json:"value" jsonschema_description:"1 byte to 1 MiB."`
	Encoding string    `json:"encoding,omitempty" jsonschema:"enum=utf-8,enum=base64,default=utf-8" jsonschema_description:"How value is written."`
}

// value is the value that must be there.
func (f *valueFields) value() (secret.Value, error) {
	if !f.Value.given() {
		return secret.Value{}, &vault.InvalidError{Field: "value", Rule: "is missing"}
	}
	return f.Value.as(f.Encoding)
}
