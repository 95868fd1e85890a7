package rest

import (
	"encoding/base64"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// secretMetadata is what both editions call a secret without its value, in both
// their words (R3): path, tier, type and tags are edition A's; namespace, key,
// access_tier, secret_type and metadata are edition B's.
type secretMetadata struct {
	ID          string            `json:"id" jsonschema_description:"The path."`
	Path        string            `json:"path"`
	Namespace   string            `json:"namespace" jsonschema_description:"Everything before the last slash of the path; empty for a path of one segment."`
	Key         string            `json:"key" jsonschema_description:"The last segment of the path."`
	Version     int               `json:"version" jsonschema:"minimum=1"`
	Tier        string            `json:"tier" jsonschema:"enum=standard,enum=sensitive,enum=critical"`
	AccessTier  string            `json:"access_tier" jsonschema:"enum=standard,enum=sensitive,enum=critical" jsonschema_description:"The same as tier."`
	Type        string            `json:"type" jsonschema:"enum=api_key,enum=oauth_token,enum=db_credential,enum=ssh_key,enum=certificate,enum=payment_credential,enum=custom"`
	SecretType  string            `json:"secret_type" jsonschema:"enum=api_key,enum=oauth_token,enum=db_credential,enum=ssh_key,enum=certificate,enum=payment_credential,enum=custom" jsonschema_description:"The same as type."`
	Description *string           `json:"description" jsonschema:"nullable"`
	Tags        map[string]string `json:"tags" jsonschema_description:"The members of metadata that are text."`
	Metadata    jsontext.Value    `json:"metadata" jsonschema:"type=object" jsonschema_description:"Tags and whatever else was stored beside them."`
	Encoding    string            `json:"encoding,omitempty" jsonschema:"enum=base64" jsonschema_description:"How the value is written, where it is not text."`
	CreatedAt   stamp             `json:"created_at"`
	UpdatedAt   stamp             `json:"updated_at" jsonschema_description:"The last change of value or metadata."`
	AccessedAt  *stamp            `json:"accessed_at" jsonschema:"nullable" jsonschema_description:"When the value was last read; listing does not count."`
	ExpiresAt   *stamp            `json:"expires_at" jsonschema:"nullable"`
	DeletedAt   *stamp            `json:"deleted_at,omitzero" jsonschema_description:"Only in the trash."`

	status int // of the answer, if not the route's own
}

func (s secretMetadata) httpStatus() int { return s.status }

// about shows the metadata of a secret.
func about(m vault.Metadata) (secretMetadata, error) {
	out := secretMetadata{
		ID: string(m.Path), Path: string(m.Path), Namespace: m.Path.Namespace(), Key: m.Path.Key(), Version: m.Version,
		Tier: string(m.Tier), AccessTier: string(m.Tier), Type: string(m.Type), SecretType: string(m.Type),
		Description: orNull(m.Description), Tags: m.Tags, CreatedAt: stamp{m.CreatedAt}, UpdatedAt: stamp{m.UpdatedAt},
		AccessedAt: at(m.AccessedAt), ExpiresAt: at(m.ExpiresAt), DeletedAt: at(m.DeletedAt),
	}
	if m.Binary {
		out.Encoding = "base64"
	}
	var err error
	out.Metadata, err = joinMetadata(m.Tags, m.Extra)
	return out, err
}

func aboutEach(items []vault.Metadata) ([]secretMetadata, error) {
	out := make([]secretMetadata, len(items))
	for i, m := range items {
		var err error
		if out[i], err = about(m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// secretValue is a secret with its value.
type secretValue struct {
	secretMetadata
	Value string `json:"value"`

	held vault.Secret
}

// appendJSON writes the answer by hand, so that the value is copied into what is
// sent and into nothing else.
func (s secretValue) appendJSON(dst []byte) ([]byte, error) {
	dst, err := appendJSON(dst, s.secretMetadata)
	if err != nil {
		return dst, err
	}
	dst = dst[:len(dst)-1]         // the brace that closes the object
	plain := s.held.Value.Reveal() //nolint:forbidigo // the reveal right, decided and recorded by the broker
	defer clear(plain)
	if s.Encoding == "" {
		dst, err = jsontext.AppendQuote(append(dst, `,"value":`...), plain)
	} else {
		dst = append(base64.StdEncoding.AppendEncode(append(dst, `,"value":"`...), plain), '"')
	}
	return append(dst, '}'), err
}

// agreed is what two fields of the same meaning say: one of them, or both alike.
func agreed(a *string, nameA string, b *string, nameB string) (*string, error) {
	switch {
	case a == nil:
		return b, nil
	case b == nil || *a == *b:
		return a, nil
	}
	return nil, &vault.InvalidError{Field: nameA, Rule: "and " + nameB + " say different things"}
}
