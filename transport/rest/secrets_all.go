package rest

import (
	"net/http"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// wholeNamespace is the answer to a list by path, through which edition B's
// clients cannot page: everything at once (R3), sent page by page, so that no
// namespace is too large for the memory.
type wholeNamespace struct {
	namespace string
	first     vault.Page
}

func (h *Handler) wholeNamespace(c *call, namespace string) (wholeNamespace, error) {
	page, err := h.desk.List(c.ctx, c.who, broker.ListRequest{Prefix: below(namespace), Limit: vault.MaxPageSize})
	return wholeNamespace{namespace, page}, err
}

// send implements [sender]. Once a first piece is out, the only answer to an
// error is to break the connection, so that a part is not taken for the whole.
func (l wholeNamespace) send(h *Handler, w http.ResponseWriter, c *call) error {
	name, err := appendJSON(nil, l.namespace)
	if err != nil {
		return err
	}
	text, count := append(append([]byte(`{"namespace":`), name...), `,"items":[`...), 0
	page := l.first
	for started := false; ; started = true {
		if text, err = appendItems(text, page.Items, &count); err != nil {
			return broke(started, err)
		}
		if page.Next == "" {
			break
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write(text); err != nil {
			return broke(true, err)
		}
		text = text[:0]
		page, err = h.desk.List(c.ctx, c.who, broker.ListRequest{Prefix: below(l.namespace), After: page.Next, Limit: vault.MaxPageSize})
		if err != nil {
			return broke(true, err)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, `],"next_cursor":null}`...)) // a client that has gone is no news
	return nil
}

// appendItems appends the items, with a comma before each but the very first.
func appendItems(text []byte, items []vault.Metadata, count *int) ([]byte, error) {
	for _, m := range items {
		item, err := about(m)
		if err != nil {
			return text, err
		}
		if *count++; *count > 1 {
			text = append(text, ',')
		}
		if text, err = appendJSON(text, item); err != nil {
			return text, err
		}
	}
	return text, nil
}

func broke(started bool, err error) error {
	if started {
		panic(http.ErrAbortHandler)
	}
	return err
}
