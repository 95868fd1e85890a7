package rest

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// rotateRequest is the body of a rotation: edition B's new_value, edition A's
// value, or nothing, as the published command line sends it.
type rotateRequest struct {
	NewValue           plaintext `json:"new_value,omitzero" jsonschema_description:"The next value. Left out: the desk makes one, if the secret has a recipe for it."`
	Value              plaintext `json:"value,omitzero" jsonschema_description:"The same as new_value."`
	Encoding           string    `json:"encoding,omitempty" jsonschema:"enum=utf-8,enum=base64,default=utf-8"`
	GracePeriodSeconds *whole    `json:"grace_period_seconds,omitzero" jsonschema:"minimum=0,maximum=2592000,default=0,nullable" jsonschema_description:"How long the old version stays readable by its number."`
}

// rotation is the outcome, in the words of both of edition A's clients
// (CONTRACT §5.4). A value that the desk has made is not in it: to rotate is not
// to read.
type rotation struct {
	Path           string `json:"path"`
	Namespace      string `json:"namespace"`
	Key            string `json:"key"`
	Version        int    `json:"version"`
	NewVersion     int    `json:"new_version" jsonschema_description:"The same as version."`
	OldVersion     int    `json:"old_version"`
	GraceExpiresAt stamp  `json:"grace_expires_at" jsonschema_description:"Until when the old version can be read by its number; without a grace period the time of the rotation."`
	ExpiresAt      stamp  `json:"expires_at" jsonschema_description:"The same as grace_expires_at."`
	UpdatedAt      stamp  `json:"updated_at"`
}

func (h *Handler) rotateSecret(c *call, in *rotateRequest) (rotation, error) {
	given := in.NewValue
	if in.Value.given() {
		if given.given() {
			return rotation{}, &vault.InvalidError{Field: "value", Rule: "and new_value cannot both be given"}
		}
		given = in.Value
	}
	value, err := given.as(in.Encoding)
	if err != nil {
		return rotation{}, err
	}
	return h.rotate(c, value, in.GracePeriodSeconds)
}

func (h *Handler) rotate(c *call, value secret.Value, graceSeconds *whole) (rotation, error) {
	var grace time.Duration
	if graceSeconds != nil {
		if *graceSeconds < 0 || *graceSeconds > whole(vault.MaxGrace/time.Second) {
			return rotation{}, &vault.InvalidError{Field: "grace_period_seconds", Rule: "is not between 0 and 2592000, 30 days"}
		}
		grace = time.Duration(*graceSeconds) * time.Second
	}
	if value.Given() && value.IsZero() {
		return rotation{}, &vault.InvalidError{Field: "value", Rule: "is empty"}
	}
	done, err := h.desk.Rotate(c.ctx, c.who, broker.RotateRequest{Path: c.path, Value: value, Grace: grace})
	if err != nil {
		return rotation{}, err
	}
	m, until := done.Metadata, stamp{done.OldReadableUntil}
	return rotation{
		Path: string(m.Path), Namespace: m.Path.Namespace(), Key: m.Path.Key(), Version: m.Version, NewVersion: m.Version,
		OldVersion: done.OldVersion, GraceExpiresAt: until, ExpiresAt: until, UpdatedAt: stamp{m.UpdatedAt},
	}, nil
}
