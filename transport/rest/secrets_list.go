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
	Limit     int    `json:"limit,omitempty" jsonschema:"minimum=1,default=50" jsonschema_description:"Items of a page; more than 200 means 200. A page may have fewer and still have a next one."`
	Cursor    string `json:"cursor,omitempty" jsonschema_description:"The next_cursor of the page before."`
	Recursive bool   `json:"recursive,omitempty" jsonschema:"default=true" jsonschema_description:"false: only what lies in the namespace itself."`
	Path      string `json:"path,omitempty" jsonschema_description:"Only the secret of that path, if there is one: its metadata without its value. Everything else is ignored."`
	Deleted   bool   `json:"deleted,omitempty" jsonschema_description:"true: the trash; for admins."`
}

func (l *listQuery) read(q *query) {
	l.Namespace = strings.TrimSuffix(q.text("namespace"), "/")
	l.Limit = q.number("limit", 1)
	l.Cursor = q.text("cursor")
	l.Recursive = q.truth("recursive", true)
	l.Path = q.text("path")
	l.Deleted = q.truth("deleted", false)
}

// secretPage is one page of metadata, in byte order of paths.
type secretPage struct {
	Namespace  string           `json:"namespace"`
	Items      []secretMetadata `json:"items"`
	NextCursor *string          `json:"next_cursor" jsonschema:"nullable" jsonschema_description:"null at the end."`
	Limit      int              `json:"limit,omitempty" jsonschema_description:"As it was applied."`
}

func (h *Handler) listSecrets(c *call, in *listQuery) (secretPage, error) {
	if in.Namespace != "" {
		if _, err := vault.ParsePath(in.Namespace); err != nil {
			return secretPage{}, &vault.InvalidError{Field: "namespace", Rule: "is not a path"}
		}
	}
	if in.Path != "" {
		return h.listOne(c, in.Path)
	}
	limit := vault.DefaultPageSize
	if in.Limit > 0 {
		limit = min(in.Limit, vault.MaxPageSize)
	}
	page, err := h.desk.List(c.ctx, c.who, broker.ListRequest{Prefix: below(in.Namespace), After: in.Cursor, Limit: limit, Deleted: in.Deleted})
	if err != nil {
		return secretPage{}, err
	}
	if !in.Recursive {
		page.Items = directly(page.Items, in.Namespace)
	}
	out := secretPage{Namespace: in.Namespace, Limit: limit, NextCursor: cursor(page.Next)}
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

func cursor(next string) *string {
	if next == "" {
		return nil
	}
	return &next
}
