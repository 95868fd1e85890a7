package rest

import (
	"cmp"
	"encoding/base64"
	"strconv"
	"time"

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

// appendOpen appends the object without the brace that closes it, as reflection
// would write it at several times the cost: every reading comes by here.
func (s *secretMetadata) appendOpen(b []byte) ([]byte, error) {
	var err error
	text := func(member, text string) {
		var bad error
		b, bad = jsontext.AppendQuote(append(b, member...), text)
		err = cmp.Or(err, bad)
	}
	instant := func(member string, at *stamp) {
		if b = append(b, member...); at == nil {
			b = append(b, "null"...)
			return
		}
		b = append(at.at.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
	}
	text(`{"id":`, s.ID)
	text(`,"path":`, s.Path)
	text(`,"namespace":`, s.Namespace)
	text(`,"key":`, s.Key)
	b = strconv.AppendInt(append(b, `,"version":`...), int64(s.Version), 10)
	text(`,"tier":`, s.Tier)
	text(`,"access_tier":`, s.AccessTier)
	text(`,"type":`, s.Type)
	text(`,"secret_type":`, s.SecretType)
	if s.Description == nil {
		b = append(b, `,"description":null`...)
	} else {
		text(`,"description":`, *s.Description)
	}
	b = append(b, `,"tags":`...)
	if len(s.Tags) == 0 {
		b = append(b, "{}"...)
	} else {
		var bad error
		b, bad = appendJSON(b, s.Tags)
		err = cmp.Or(err, bad)
	}
	b = append(append(b, `,"metadata":`...), s.Metadata...)
	if s.Encoding != "" {
		text(`,"encoding":`, s.Encoding)
	}
	instant(`,"created_at":`, &s.CreatedAt)
	instant(`,"updated_at":`, &s.UpdatedAt)
	instant(`,"accessed_at":`, s.AccessedAt)
	instant(`,"expires_at":`, s.ExpiresAt)
	if s.DeletedAt != nil {
		instant(`,"deleted_at":`, s.DeletedAt)
	}
	return b, err
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
	dst, err := s.appendOpen(dst)
	if err != nil {
		return dst, err
	}
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
