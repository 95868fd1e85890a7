package tools

import (
	"context"
	"encoding/json"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

type deleteSecretIn struct {
	where
	Permanent bool `json:"permanent,omitempty" jsonschema:"default=false" jsonschema_description:"Destroy it at once and for good. Refused unless the policy says so; nearly always leave it out."`
}

func (in *deleteSecretIn) set(a *args, name string) bool {
	if name == "permanent" {
		in.Permanent = a.boolean()
		return true
	}
	return in.where.set(a, name)
}

type deleteSecretOut struct {
	Path            string `json:"path"`
	Permanent       bool   `json:"permanent" jsonschema_description:"Whether it is gone for good."`
	RestorableUntil string `json:"restorable_until,omitempty" jsonschema:"format=date-time" jsonschema_description:"Until then its owner can bring it back; absent when it is gone for good."`
	Next            string `json:"next"`
}

func deleteSecret(b Broker) Tool {
	t := Tool{
		Name:  "delete_secret",
		Title: "Delete a secret",
		Description: `Move a secret with all its versions to the trash, from where its owner can bring it back for 30 days. Every handle on it ends at once, yours and other agents'. Do this only when you were asked to. It does not revoke the key on the other side: tell the human to do that where the key was made.

Do not delete a secret to replace its value: set_secret and rotate_secret make a new version.`,
		Hints:  Hints{ReadOnly: false, Destructive: true, Idempotent: true, OpenWorld: false},
		Input:  schema("delete_secret.input"),
		Output: schema("delete_secret.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in deleteSecretIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		p, f := in.resolve()
		if f != nil {
			return Result{Failure: f}
		}
		got, err := b.Delete(ctx, who, p, in.Permanent)
		if err != nil {
			return failed(err)
		}
		out := deleteSecretOut{
			Path: string(got.Path), Permanent: got.Permanent, RestorableUntil: stamp(got.RestorableUntil),
			Next: "It is gone for good, and every handle on it has ended.",
		}
		if !got.Permanent {
			out.Next = "Every handle on it has ended. Until " + out.RestorableUntil + " the owner can bring it back with: coatcheck secret restore '" + out.Path + "'"
		}
		return answer(out)
	}
	return t
}
