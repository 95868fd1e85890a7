package rest

import (
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// importRequest stores what stands in .env text (edition B).
type importRequest struct {
	Namespace *string   `json:"namespace" jsonschema_description:"What the names are put below; empty: nothing, each is a path of its own."`
	Content   plaintext `json:"content" jsonschema_description:".env text: NAME=VALUE lines."`
	secretFields
}

// imported tells the names twice, since the two published clients read two
// different answers (CONTRACT §5.10).
type imported struct {
	Namespace     string   `json:"namespace"`
	Imported      []string `json:"imported" jsonschema_description:"The keys that were stored."`
	ImportedCount int      `json:"imported_count"`
	Keys          []string `json:"keys" jsonschema_description:"The same as imported."`
	Skipped       int      `json:"skipped" jsonschema_description:"Entries without a value of their own."`
}

// importSecrets stores each entry under the namespace, all of them or none.
// Where a secret exists it gets its next value and keeps everything else.
func (h *Handler) importSecrets(c *call, in *importRequest) (imported, error) {
	switch {
	case in.Namespace == nil:
		return imported{}, &vault.InvalidError{Field: "namespace", Rule: "is missing"}
	case !in.Content.given():
		return imported{}, &vault.InvalidError{Field: "content", Rule: "is missing"}
	}
	change, err := in.change()
	if err != nil {
		return imported{}, err
	}
	text := in.Content.held.Reveal() //nolint:forbidigo // taken apart into values
	defer clear(text)
	file, err := dotenv.Parse(text)
	if err != nil {
		return imported{}, err
	}
	out := imported{Namespace: *in.Namespace, Imported: []string{}}
	var items []broker.ImportItem
	for _, entry := range file.Entries {
		if entry.Value.IsZero() { // empty, or a reference to a secret
			out.Skipped++
			continue
		}
		p, err := vault.JoinPath(*in.Namespace, entry.Name)
		if err != nil {
			return imported{}, err
		}
		one := withoutDefaults(change)
		one.Value = entry.Value
		items = append(items, broker.ImportItem{Path: p, Change: one})
		out.Imported = append(out.Imported, entry.Name)
	}
	if _, err := h.desk.Import(c.ctx, c.who, broker.ImportRequest{Items: items, Replace: true}); err != nil {
		return imported{}, err
	}
	out.Keys, out.ImportedCount = out.Imported, len(out.Imported)
	return out, nil
}
