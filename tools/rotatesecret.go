package tools

import (
	"context"
	"encoding/json"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const maxGrace = int(vault.MaxGrace / time.Second)

type rotateSecretIn struct {
	where
	GraceSeconds int `json:"grace_seconds,omitempty" jsonschema:"minimum=0,maximum=2592000,default=0" jsonschema_description:"How long the old version stays readable by its number, up to 30 days. 0 ends it at once."`
}

func (in *rotateSecretIn) set(a *args, name string) bool {
	if name == "grace_seconds" {
		in.GraceSeconds = a.integer(0, maxGrace)
		return true
	}
	return in.where.set(a, name)
}

type rotateSecretOut struct {
	Path             string `json:"path"`
	Version          int    `json:"version" jsonschema_description:"The new version. Handles that are not pinned use it from now on."`
	OldVersion       int    `json:"old_version"`
	OldReadableUntil string `json:"old_readable_until" jsonschema:"format=date-time" jsonschema_description:"When the old version stops being readable."`
	Next             string `json:"next"`
}

func rotateSecret(b Broker) Tool {
	t := Tool{
		Name:        "rotate_secret",
		Title:       "Rotate a secret",
		Description: `Make a new version of a secret from its recipe and retire the old one after a grace period. Works for secrets whose value this desk can make; for others the answer names the command a human has to run. The new value is not shown.`,
		Hints:       Hints{ReadOnly: false, Destructive: true, Idempotent: false, OpenWorld: false},
		Input:       schema("rotate_secret.input"),
		Output:      schema("rotate_secret.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in rotateSecretIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		p, f := in.resolve()
		if f != nil {
			return Result{Failure: f}
		}
		got, err := b.Rotate(ctx, who, broker.RotateRequest{Path: p, Grace: time.Duration(in.GraceSeconds) * time.Second})
		if err != nil {
			return failed(err)
		}
		return answer(rotateSecretOut{
			Path: string(got.Metadata.Path), Version: got.Metadata.Version, OldVersion: got.OldVersion,
			OldReadableUntil: stamp(got.OldReadableUntil),
			Next:             "The new value was made here. Whoever checks this secret on the other side must be given it by its owner.",
		})
	}
	return t
}
