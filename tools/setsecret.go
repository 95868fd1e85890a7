package tools

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

type setSecretIn struct {
	where
	Value *string `json:"value,omitempty" jsonschema:"minLength=1,maxLength=1048576" jsonschema_description:"The value, stored to the byte: nothing is trimmed. Leave it out unless you hold it already; the answer then says how a human enters it without showing it to you."`
}

func (in *setSecretIn) set(a *args, name string) bool {
	switch name {
	case "value":
		in.Value = a.secretText()
		return true
	case "to", "destinations", "tier", "access_tier", "type", "secret_type", "tags", "metadata", "description", "expires_at", "generate":
		f := badArguments("this tool stores a value and nothing else; where a secret may go and what it is say people")
		f.Next = "Call it with path and value only. The rest is for the owner: coatcheck secret set PATH --keep-value --to HOST (see coatcheck secret set --help)."
		a.fail(f)
		return true
	default:
		return in.where.set(a, name)
	}
}

// secretText reads a value: 1 byte to 1 MiB of text, nothing of it lost.
func (a *args) secretText() *string {
	text := a.text(vault.MaxValueBytes)
	switch {
	case text == "":
		a.breaks("is empty; leave it out to be told how a human enters it")
	case strings.ContainsRune(text, '\uFFFD'):
		// What a JSON escape without its other half becomes (RFC 8259 §8.2).
		a.breaks("has a character that stands for lost text (U+FFFD), so it is not what was meant")
	}
	return &text
}

type setSecretOut struct {
	Path         string         `json:"path"`
	Stored       bool           `json:"stored" jsonschema_description:"Whether a value was stored."`
	Created      *bool          `json:"created,omitempty" jsonschema_description:"Whether the secret is new; absent when you may not list it."`
	Version      int            `json:"version,omitempty" jsonschema_description:"The version that is current now; absent when you may not list it, or there is none."`
	Type         string         `json:"type,omitempty"`
	Tier         string         `json:"tier,omitempty" jsonschema:"enum=standard,enum=sensitive,enum=critical"`
	Destinations *[]destination `json:"destinations,omitempty" jsonschema_description:"Where it may go. None: it cannot be used yet. Only its owner changes this."`
	Next         string         `json:"next" jsonschema_description:"What to do next. Pass a command on to the human word for word."`
}

func setSecret(b Broker) Tool {
	t := Tool{
		Name:  "set_secret",
		Title: "Store a secret",
		Description: `Store a value that you hold, for example a key an API has just given you. On a path that exists it becomes the next version for everybody who uses that secret, and nothing else changes. A new path gets a secret that can be used once a human says where it may go; the answer has the command to pass on.

Never ask a human to type a secret into the conversation: call this without value, and the answer says how they enter it out of your sight. A handle is not a value.`,
		Hints:  Hints{ReadOnly: false, Destructive: true, Idempotent: false, OpenWorld: false},
		Input:  schema("set_secret.input"),
		Output: schema("set_secret.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in setSecretIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		p, f := in.resolve()
		if f != nil {
			return Result{Failure: f}
		}
		r := broker.SetRequest{Path: p}
		if in.Value != nil {
			r.Value = secret.New([]byte(*in.Value))
		}
		got, err := b.Set(ctx, who, r)
		if err != nil {
			return failed(err)
		}
		return answer(stored(got))
	}
	return t
}

func stored(got broker.Stored) setSecretOut {
	m := got.Metadata
	out := setSecretOut{Path: string(m.Path), Stored: got.Done, Next: got.Next}
	if !got.Shown || m.Version == 0 {
		return out
	}
	if got.Done {
		out.Created = &got.Created
	}
	to := destinations(m.Destinations)
	out.Version, out.Type, out.Tier, out.Destinations = m.Version, string(m.Type), string(m.Tier), &to
	return out
}
