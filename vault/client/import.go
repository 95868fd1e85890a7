package client

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// ImportEnv stores every entry of a .env text as a secret NAMESPACE/NAME and
// returns the names. The service reads the text; coatcheck takes all of it or
// nothing. The options hold for each secret, but Description and ExpiresAt, which
// an import cannot carry. It is never repeated once it may have arrived. Errors:
// those of every call.
func (c *Client) ImportEnv(ctx context.Context, namespace string, content secret.Value, opts *SetOptions) ([]string, error) {
	namespace = strings.TrimSuffix(namespace, "/")
	if err := checkPath("namespace", namespace); err != nil {
		return nil, err
	}
	switch {
	case content.IsZero():
		return nil, invalid("content", "is empty")
	case !content.IsText():
		return nil, invalid("content", "is not UTF-8 text")
	}
	e, err := c.spoken(ctx)
	if err != nil {
		return nil, err
	}
	// The route is edition B's, and its words are the same in both.
	body, err := opts.fields(EditionB)
	if err != nil {
		return nil, err
	}
	body["namespace"], body["content"] = namespace, plain{content}
	var w struct {
		Imported any      `json:"imported"` // names, or how many they are
		Keys     []string `json:"keys"`
	}
	r := &request{method: http.MethodPost, target: "/secrets/import", body: body, scope: "secrets:write:" + namespace + "/*", sent: linesOf(content)}
	a, err := c.do(ctx, e, r, &w)
	if err != nil {
		return nil, err
	}
	if w.Keys != nil {
		return w.Keys, nil
	}
	names, listed := w.Imported.([]any)
	if !listed {
		return nil, badAnswer(a.status, "the answer does not say what was stored")
	}
	for _, n := range names {
		name, text := n.(string)
		if !text {
			return nil, badAnswer(a.status, "the answer does not say what was stored")
		}
		w.Keys = append(w.Keys, name)
	}
	return w.Keys, nil
}

// linesOf returns what may be values in a .env text: each line, and what stands
// behind its "=" without quotes.
func linesOf(content secret.Value) []secret.Value {
	out := []secret.Value{content}
	for line := range bytes.Lines(content.Reveal()) {
		line = bytes.TrimSpace(line)
		_, value, _ := bytes.Cut(line, []byte("="))
		out = append(out, secret.New(line), secret.New(bytes.Trim(value, " \t\"'")))
	}
	return out
}
