package client_test

import (
	"errors"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
)

func TestListSecrets(t *testing.T) {
	s := script(
		t, exchange{request: "GET /v1/secrets?namespace=production%2Fopenai", answer: `{"namespace":"production/openai","items":[` + openaiSecret + `,{"namespace":"production/openai","key":"org","version":3},{"key":"flat"}],"next_cursor":null}`},
		exchange{request: "GET /v1/secrets?cursor=c%2B1&limit=50&namespace=production%2Fopenai", answer: `{"items":[{"path":"a"}],"next_cursor":"c2"}`},
		exchange{request: "GET /v1/secrets", answer: `{"items":[]}`},
		exchange{request: "GET /v1/secrets?namespace=a", answer: `{}`},
	)
	c := s.of()
	page, err := c.ListSecrets(t.Context(), "production/openai/", nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := func(path string, version int) client.Metadata {
		return client.Metadata{Path: path, Version: version, Tier: vault.Standard, Type: vault.Custom}
	}
	want(t, "page", *page, client.Page{Items: []client.Metadata{openaiMetadata, plain("production/openai/org", 3), plain("flat", 0)}})

	t.Run("limit and cursor", func(t *testing.T) {
		page, err := c.ListSecrets(t.Context(), "production/openai", &client.ListOptions{Limit: 50, Cursor: "c+1"})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "page", *page, client.Page{Items: []client.Metadata{plain("a", 0)}, NextCursor: "c2"})
	})
	t.Run("everything", func(t *testing.T) {
		page, err := c.ListSecrets(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "page", *page, client.Page{Items: []client.Metadata{}})
	})
	t.Run("no list", func(t *testing.T) {
		_, err := c.ListSecrets(t.Context(), "a", nil)
		wantCode(t, err, client.CodeInvalidResponse, 200)
	})
}

func TestSecrets(t *testing.T) {
	page := func(cursor, answer string) exchange {
		request := "GET /v1/secrets?limit=2&namespace=n"
		if cursor != "" {
			request = "GET /v1/secrets?cursor=" + cursor + "&limit=2&namespace=n"
		}
		return exchange{request: request, answer: answer}
	}
	one := page("", `{"items":[{"path":"n/a"},{"path":"n/b"}],"next_cursor":"c1"}`)
	s := script(
		t, one, page("c1", `{"items":[],"next_cursor":"c2"}`), page("c2", `{"items":[{"path":"n/c"}],"next_cursor":""}`), // all
		one,                                                         // ended by the caller
		one, exchange{request: page("c1", "").request, status: 500}, // an error
		one, page("c1", `{"items":[],"next_cursor":"c1"}`), // a service that goes round in a circle
	)
	c := s.of()
	opts := &client.ListOptions{Limit: 2}
	walk := func(stop int) (paths []string, err error) {
		for m, err := range c.Secrets(t.Context(), "n", opts) {
			if err != nil {
				return paths, err
			}
			if paths = append(paths, m.Path); len(paths) == stop {
				break
			}
		}
		return paths, nil
	}
	for _, test := range []struct {
		name, code string
		stop       int
		want       []string
	}{
		{"all", "", 0, []string{"n/a", "n/b", "n/c"}},
		{"ended by the caller", "", 1, []string{"n/a"}},
		{"an error", client.CodeUnknown, 0, []string{"n/a", "n/b"}},
		{"in a circle", client.CodeInvalidResponse, 0, []string{"n/a", "n/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := walk(test.stop)
			want(t, "paths", got, test.want)
			if e, ok := errors.AsType[*client.Error](err); ok != (test.code != "") || ok && e.Code != test.code {
				t.Errorf("got %v", err)
			}
		})
	}
	want(t, "the caller's options", *opts, client.ListOptions{Limit: 2})
}
