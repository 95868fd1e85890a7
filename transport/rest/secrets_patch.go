package rest

import (
	"github.com/coatcheck-dev/coatcheck/vault"
)

// patchRequest is the body of PATCH: a new value, or new metadata.
type patchRequest struct {
	Value              plaintext `json:"value,omitzero" jsonschema_description:"The next value: a rotation, as POST …/rotate makes it."`
	Encoding           string    `json:"encoding,omitempty" jsonschema:"enum=utf-8,enum=base64,default=utf-8"`
	GracePeriodSeconds *whole    `json:"grace_period_seconds,omitzero" jsonschema:"minimum=0,maximum=2592000,default=0,nullable" jsonschema_description:"How long the old version stays readable by its number."`
	secretFields
}

// patchSecret rotates (edition A's PATCH), or changes what the fields name and
// leaves the value. Both in one request are refused: one is recorded as a
// rotation and needs the right to rotate, the other is for admins.
func (h *Handler) patchSecret(c *call, in *patchRequest) (any, error) {
	change, err := in.change()
	if err != nil {
		return nil, err
	}
	if in.ExpiresAt.given && in.ExpiresAt.IsZero() { // null
		change.ExpiresAt = &in.ExpiresAt.Time
	}
	empty := change.Type == nil && change.Tier == nil && change.Description == nil && change.Tags == nil && change.ExpiresAt == nil
	switch {
	case in.Value.given() && !empty:
		return nil, &vault.InvalidError{Field: "value", Rule: "and metadata are changed by one request each"}
	case in.Value.given():
		value, err := in.Value.as(in.Encoding)
		if err != nil {
			return nil, err
		}
		return h.rotate(c, value, in.GracePeriodSeconds)
	case in.GracePeriodSeconds != nil:
		return nil, &vault.InvalidError{Field: "grace_period_seconds", Rule: "needs a new value"}
	case empty:
		return nil, badBody("changes nothing")
	}
	change.Mode = vault.Replace
	meta, err := h.desk.Put(c.ctx, c.who, c.path, change)
	if err != nil {
		return nil, err
	}
	return about(meta)
}
