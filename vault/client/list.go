package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ListOptions of [Client.ListSecrets] and [Client.Secrets].
type ListOptions struct {
	// Limit is the most items of a page, 50 when it is 0. coatcheck gives 200 at
	// most; edition B gives everything in one page.
	Limit  int
	Cursor string // NextCursor of the page before; edition B has none
}

// Page is one page of a list.
type Page struct {
	Items      []Metadata
	NextCursor string // "" at the end
}

// ListSecrets returns one page of the secrets below a namespace, at every depth,
// in the order of their paths; "" is all that the key may see, which edition B
// cannot say. Errors: those of every call.
func (c *Client) ListSecrets(ctx context.Context, namespace string, opts *ListOptions) (*Page, error) {
	var o ListOptions
	if opts != nil {
		o = *opts
	}
	return c.list(ctx, namespace, o, nil)
}

// list lists with further fields of the query, which coatcheck knows and edition
// B has none of.
func (c *Client) list(ctx context.Context, namespace string, o ListOptions, further url.Values) (*Page, error) {
	namespace = strings.TrimSuffix(namespace, "/")
	if namespace != "" {
		if err := checkPath("namespace", namespace); err != nil {
			return nil, err
		}
	}
	if o.Limit < 0 {
		return nil, invalid("limit", "is negative")
	}
	e, err := c.spoken(ctx)
	if err != nil {
		return nil, err
	}
	r := &request{method: http.MethodGet, target: "/secrets", scope: "secrets:read:" + strings.TrimPrefix(namespace+"/*", "/"), repeat: true}
	switch {
	case e == EditionB && namespace == "":
		return nil, unsupported("list of everything: name a namespace")
	case e == EditionB && further.Has("deleted"):
		return nil, unsupported("trash")
	case e == EditionB && o.Cursor != "":
		return nil, unsupported("pages")
	case e == EditionB:
		r.target += "/" + url.PathEscape(namespace)
	default:
		r.query = o.query(namespace)
		maps.Copy(r.query, further)
	}
	var w struct {
		Items      few[wireSecret] `json:"items"`
		NextCursor string          `json:"next_cursor"`
	}
	a, err := c.do(ctx, e, r, &w)
	if err != nil {
		return nil, err
	}
	if w.Items == nil {
		return nil, badAnswer(a.status, "the answer lists no items")
	}
	page := &Page{Items: make([]Metadata, len(w.Items)), NextCursor: w.NextCursor}
	for i := range w.Items {
		page.Items[i] = w.Items[i].meta("")
	}
	return page, nil
}

func (o ListOptions) query(namespace string) url.Values {
	q := url.Values{}
	if namespace != "" {
		q.Set("namespace", namespace)
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Cursor != "" {
		q.Set("cursor", o.Cursor)
	}
	return q
}

// Secrets goes through every page of [Client.ListSecrets]. An error is the last
// thing it yields.
func (c *Client) Secrets(ctx context.Context, namespace string, opts *ListOptions) iter.Seq2[Metadata, error] {
	return func(yield func(Metadata, error) bool) {
		var o ListOptions
		if opts != nil {
			o = *opts
		}
		for {
			page, err := c.ListSecrets(ctx, namespace, &o)
			if err == nil && page.NextCursor != "" && page.NextCursor == o.Cursor {
				err = badAnswer(http.StatusOK, "the page after is the page itself")
			}
			if err != nil {
				yield(Metadata{}, err)
				return
			}
			for _, m := range page.Items {
				if !yield(m, nil) {
					return
				}
			}
			if o.Cursor = page.NextCursor; o.Cursor == "" {
				return
			}
		}
	}
}
