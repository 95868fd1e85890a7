package rest

// namespacesQuery selects a page.
type namespacesQuery struct {
	Cursor string `json:"cursor,omitempty" jsonschema_description:"The next_cursor of the page before."`
}

func (n *namespacesQuery) read(q *query) { n.Cursor = q.text("cursor") }

// namespacePage lists namespaces under two names (CONTRACT §5.13).
type namespacePage struct {
	Namespaces []namespace `json:"namespaces"`
	Items      []namespace `json:"items" jsonschema_description:"The same as namespaces."`
	NextCursor *string     `json:"next_cursor" jsonschema:"nullable" jsonschema_description:"null at the end. A namespace that goes on in the next page is counted there anew."`
}

type namespace struct {
	Namespace   string `json:"namespace" jsonschema_description:"Empty for the top."`
	SecretCount int    `json:"secret_count" jsonschema_description:"The secrets that the caller may list in it directly."`
}

func (h *Handler) listNamespaces(c *call, in *namespacesQuery) (namespacePage, error) {
	page, err := h.desk.Namespaces(c.ctx, c.who, in.Cursor)
	if err != nil {
		return namespacePage{}, err
	}
	out := namespacePage{Namespaces: make([]namespace, len(page.Items)), NextCursor: orNull(page.Next)}
	for i, n := range page.Items {
		out.Namespaces[i] = namespace{n.Path, n.Secrets}
	}
	out.Items = out.Namespaces
	return out, nil
}
