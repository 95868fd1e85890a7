package tools

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// maxCursorBytes is more than any cursor of ours has.
const maxCursorBytes = 4096

type listSecretsIn struct {
	Prefix    string `json:"prefix,omitempty" jsonschema:"maxLength=512" jsonschema_description:"Only paths that start with this text, for example production/ or prod. Leave it out for everything you may see."`
	Namespace string `json:"namespace,omitempty" jsonschema:"maxLength=512" jsonschema_description:"Only secrets below this namespace, for example production/openai. Not together with prefix."`
	Limit     int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,default=50" jsonschema_description:"At most this many in one answer."`
	Cursor    string `json:"cursor,omitempty" jsonschema:"maxLength=4096" jsonschema_description:"next_cursor of the answer before, to go on from there. Keep the other arguments the same."`
}

func (in *listSecretsIn) set(a *args, name string) bool {
	switch name {
	case "prefix":
		in.Prefix = a.text(vault.MaxPathBytes)
	case "namespace":
		in.Namespace = a.text(vault.MaxPathBytes)
	case "limit":
		in.Limit = a.integer(1, vault.MaxPageSize)
	case "cursor":
		in.Cursor = a.text(maxCursorBytes)
	default:
		return false
	}
	return true
}

type listSecretsOut struct {
	Secrets    []listed `json:"secrets" jsonschema_description:"In the order of their paths. A page may be short or empty and still have a next one."`
	NextCursor string   `json:"next_cursor,omitempty" jsonschema_description:"Give it as cursor to get the next page; absent at the end."`
}

type listed struct {
	Path         string            `json:"path"`
	Type         string            `json:"type"`
	Tier         string            `json:"tier" jsonschema:"enum=standard,enum=sensitive,enum=critical"`
	Version      int               `json:"version"`
	Description  string            `json:"description,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Destinations []destination     `json:"destinations" jsonschema_description:"Where it may go; none: it cannot be used yet."`
	UpdatedAt    string            `json:"updated_at" jsonschema:"format=date-time"`
	ExpiresAt    string            `json:"expires_at,omitempty" jsonschema:"format=date-time"`
}

func listSecrets(b Broker) Tool {
	t := Tool{
		Name:        "list_secrets",
		Title:       "List secrets",
		Description: `List the secrets you may know of: paths, types, tiers, versions, tags and where each may be sent. Never a value. Answers come in pages; follow next_cursor until it is absent.`,
		Hints:       Hints{ReadOnly: true, Destructive: false, Idempotent: true, OpenWorld: false},
		Input:       schema("list_secrets.input"),
		Output:      schema("list_secrets.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in listSecretsIn
		f := decode(raw, &in, t.Input)
		if f == nil && in.Prefix != "" && in.Namespace != "" {
			f = badArgument("prefix", "stands beside namespace; give one or the other")
		}
		if f != nil {
			return Result{Failure: f}
		}
		prefix := in.Prefix
		if in.Namespace != "" {
			prefix = strings.TrimSuffix(in.Namespace, "/") + "/"
		}
		page, err := b.List(ctx, who, broker.ListRequest{Prefix: prefix, After: in.Cursor, Limit: in.Limit})
		if err != nil {
			return failed(err)
		}
		out := listSecretsOut{Secrets: make([]listed, 0, len(page.Items)), NextCursor: page.Next}
		for _, m := range page.Items {
			out.Secrets = append(out.Secrets, listed{
				Path: string(m.Path), Type: string(m.Type), Tier: string(m.Tier), Version: m.Version,
				Description: m.Description, Tags: m.Tags, Destinations: destinations(m.Destinations),
				UpdatedAt: stamp(m.UpdatedAt), ExpiresAt: stamp(m.ExpiresAt),
			})
		}
		return answer(out)
	}
	return t
}
