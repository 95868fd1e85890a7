package rest

import (
	"errors"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// listQuery selects a page of secrets, or of the trash.
type listQuery struct {
	Namespace string `json:"namespace,omitempty" jsonschema_description:"What is listed lies below it, at any depth; a slash at the end is ignored. Left out: everything."`
	Path      string `json:"path,omitempty" jsonschema_description:"Only the secret of that path, if there is one: its metadata without its value. Everything else is ignored."`
	Recursive bool   `json:"recursive,omitzero" jsonschema:"default=true" jsonschema_description:"false: only what lies in the namespace itself."`
	Deleted   bool   `json:"deleted,omitzero" jsonschema_description:"true: the trash; for admins."`
	pageQuery
}

func (l *listQuery) read(q *query) {
	l.Namespace = strings.TrimSuffix(q.text("namespace"), "/")
	l.Path = q.text("path")
	l.pageQuery.read(q)
	l.Recursive = q.truth("recursive", true)
	l.Deleted = q.truth("deleted", false)
}

// secretPage is one page of metadata, in byte order of paths.
type secretPage struct {
	Namespace  string           `json:"namespace"`
	Items      []secretMetadata `json:"items"`
	NextCursor *string          `json:"next_cursor" jsonschema:"nullable" jsonschema_description:"null at the end."`
	Limit      int              `json:"limit,omitzero" jsonschema_description:"As it was applied."`
}

func (h *Handler) listSecrets(c *call, in *listQuery) (secretPage, error) {
	if in.Path != "" {
		return h.listOne(c, in.Path)
	}
	if in.Namespace != "" {
		if _, err := vault.ParsePath(in.Namespace); err != nil {
			return secretPage{}, &vault.InvalidError{Field: "namespace", Rule: "is not a path"}
		}
	}
	page, err := h.desk.List(c.ctx, c.who, broker.ListRequest{Prefix: below(in.Namespace), After: in.Cursor, Limit: in.Limit, Deleted: in.Deleted})
	if err != nil {
		return secretPage{}, err
	}
	if !in.Recursive {
		page.Items = directly(page.Items, in.Namespace)
	}
	out := secretPage{Namespace: in.Namespace, Limit: in.Limit, NextCursor: orNull(page.Next)}
	out.Items, err = aboutEach(page.Items)
	return out, err
}

// listOne is the page of one secret, or of none.
func (h *Handler) listOne(c *call, path string) (secretPage, error) {
	p, err := vault.ParsePath(path)
	if err != nil {
		return secretPage{}, err
	}
	c.path = p
	out := secretPage{Namespace: p.Namespace(), Items: []secretMetadata{}}
	m, err := h.desk.Describe(c.ctx, c.who, p)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return out, nil
	case err != nil:
		return out, err
	}
	out.Items, err = aboutEach([]vault.Metadata{m})
	return out, err
}

// below is the prefix of the paths in a namespace; "" is everything.
func below(namespace string) string {
	if namespace == "" {
		return ""
	}
	return namespace + "/"
}

func directly(items []vault.Metadata, namespace string) (out []vault.Metadata) {
	for _, m := range items {
		if m.Path.Namespace() == namespace {
			out = append(out, m)
		}
	}
	return out
}
