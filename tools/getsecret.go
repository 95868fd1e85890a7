package tools

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// The forms of get_secret.
const (
	asHandle    = "handle"
	asRedacted  = "redacted"
	asPlaintext = "plaintext"
)

const (
	maxVersion = 1<<31 - 1
	maxUses    = 1_000_000
	maxTTL     = int(handle.MaxTTL / time.Second)
)

type getSecretIn struct {
	where
	As         string `json:"as,omitempty" jsonschema:"enum=handle,enum=redacted,enum=plaintext,default=handle" jsonschema_description:"What to give back. handle: a ticket that stands in for the secret in http_request; this is nearly always what you want. redacted: what the secret is, without it. plaintext: the secret itself; needs a right that is rarely given."`
	Version    int    `json:"version,omitempty" jsonschema:"minimum=1,maximum=2147483647" jsonschema_description:"A version number to pin. Leave it out for the latest, also after a rotation."`
	TTLSeconds int    `json:"ttl_seconds,omitempty" jsonschema:"minimum=1,maximum=86400" jsonschema_description:"How long the handle lives. Leave it out for the usual 15 minutes; the policy may allow less."`
	Uses       int    `json:"uses,omitempty" jsonschema:"minimum=1,maximum=1000000" jsonschema_description:"How often the handle may be used. Leave it out for no count; the policy may set one."`
}

func (in *getSecretIn) set(a *args, name string) bool {
	switch name {
	case "as":
		in.As = a.oneOf(asHandle, asRedacted, asPlaintext)
	case "version":
		in.Version = a.integer(1, maxVersion)
	case "ttl_seconds":
		in.TTLSeconds = a.integer(1, maxTTL)
	case "uses":
		in.Uses = a.integer(1, maxUses)
	default:
		return in.where.set(a, name)
	}
	return true
}

// check refuses what makes no sense together, so that nobody believes in a
// limit that was not applied.
func (in *getSecretIn) check() *Failure {
	switch {
	case in.As == "" || in.As == asHandle:
		return nil
	case in.TTLSeconds != 0:
		return badArgument("ttl_seconds", "is for handles only")
	case in.Uses != 0:
		return badArgument("uses", "is for handles only")
	case in.Version != 0 && in.As == asRedacted:
		return badArgument("version", "is not for redacted, which shows the latest")
	default:
		return nil
	}
}

type getSecretOut struct {
	As           string        `json:"as" jsonschema:"enum=handle,enum=redacted,enum=plaintext" jsonschema_description:"The form that was given."`
	Path         string        `json:"path"`
	Type         string        `json:"type" jsonschema_description:"What kind of credential it is."`
	Tier         string        `json:"tier" jsonschema:"enum=standard,enum=sensitive,enum=critical" jsonschema_description:"How carefully it is given out."`
	Version      int           `json:"version" jsonschema_description:"The version this answer is about."`
	Pinned       bool          `json:"pinned" jsonschema_description:"Whether the handle stays with that version when the secret is rotated."`
	Description  string        `json:"description,omitempty" jsonschema_description:"What its owner wrote about it."`
	Handle       string        `json:"handle,omitempty" jsonschema_description:"Stands in for the secret. Copy it exactly."`
	HandleID     string        `json:"handle_id,omitempty" jsonschema_description:"Public name of the handle, for talking about it."`
	ExpiresAt    string        `json:"expires_at,omitempty" jsonschema:"format=date-time" jsonschema_description:"When the handle ends, or for other forms the secret."`
	Uses         int           `json:"uses,omitempty" jsonschema_description:"How often the handle can be used; absent: not counted."`
	Destinations []destination `json:"destinations" jsonschema_description:"Where the secret may go. Anywhere else a request is refused."`
	Redacted     string        `json:"redacted,omitempty" jsonschema_description:"A public prefix, if there is one, and dots that say nothing about the length."`
	Value        string        `json:"value,omitempty" jsonschema_description:"The secret itself, in plaintext form only."`
	Encoding     string        `json:"encoding,omitempty" jsonschema:"enum=utf-8,enum=base64" jsonschema_description:"How value is written."`
	Next         string        `json:"next" jsonschema_description:"What to do with this."`
}

func getSecret(b Broker) Tool {
	t := Tool{
		Name:  "get_secret",
		Title: "Get a secret",
		Description: `Get a handle for a secret. The handle is a ticket: write it where the secret would stand in a call of http_request, and the real value is put in its place on the way out, for the destinations listed in the answer only. You never see the value, and you do not need to.

Ask again when a handle has expired. If you do not know the path, call list_secrets first. If you are refused, explain_access says why.`,
		Hints:  Hints{ReadOnly: false, Destructive: false, Idempotent: false, OpenWorld: false},
		Input:  schema("get_secret.input"),
		Output: schema("get_secret.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in getSecretIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		p, f := in.resolve()
		if f == nil {
			f = in.check()
		}
		if f != nil {
			return Result{Failure: f}
		}
		switch in.As {
		case asRedacted:
			return giveRedacted(ctx, b, who, p)
		case asPlaintext:
			return givePlaintext(ctx, b, who, p, in.Version)
		default:
			return giveHandle(ctx, b, who, p, in)
		}
	}
	return t
}

func giveHandle(ctx context.Context, b Broker, who identity.Principal, p vault.Path, in getSecretIn) Result {
	ticket, err := b.Issue(ctx, who, broker.IssueRequest{
		Path: p, Version: in.Version, TTL: time.Duration(in.TTLSeconds) * time.Second, Uses: in.Uses,
	})
	if err != nil {
		return failed(err)
	}
	out := about(asHandle, ticket.Metadata)
	if out.Pinned = ticket.Version != vault.Latest; out.Pinned {
		out.Version = ticket.Version
	}
	out.Handle, out.HandleID = ticket.Text, ticket.ID
	out.ExpiresAt, out.Uses = stamp(ticket.ExpiresAt), ticket.Uses
	out.Destinations = destinations(ticket.Destinations)
	out.Next = "Call http_request to one of the destinations and write the handle where the destination's in says. The secret is put in its place on the way out; you never see it."
	return answer(out)
}

func giveRedacted(ctx context.Context, b Broker, who identity.Principal, p vault.Path) Result {
	r, err := b.Redacted(ctx, who, p)
	if err != nil {
		return failed(err)
	}
	out := about(asRedacted, r.Metadata)
	out.Redacted = r.Mask
	out.Next = "This only tells what the secret is. To use it, call get_secret for a handle."
	return answer(out)
}

func givePlaintext(ctx context.Context, b Broker, who identity.Principal, p vault.Path, version int) Result {
	s, err := b.Reveal(ctx, who, p, version)
	if err != nil {
		return failed(err)
	}
	out := about(asPlaintext, s.Metadata)
	out.Pinned = version != vault.Latest
	plain := s.Value.Reveal() //nolint:forbidigo // the reveal right, decided and recorded by the broker just above
	out.Value, out.Encoding = string(plain), "utf-8"
	if !s.Value.IsText() {
		out.Value, out.Encoding = base64.StdEncoding.EncodeToString(plain), "base64"
	}
	out.Next = "Use it for this task only: do not repeat it, store it or send it to another tool."
	return answer(out)
}

// about fills in what every form tells.
func about(as string, m vault.Metadata) getSecretOut {
	return getSecretOut{
		As: as, Path: string(m.Path), Type: string(m.Type), Tier: string(m.Tier), Version: m.Version,
		Description: m.Description, ExpiresAt: stamp(m.ExpiresAt), Destinations: destinations(m.Destinations),
	}
}
