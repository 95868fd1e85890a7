package client_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
)

// answering is a vault whose service answers by how often it was asked.
func answering(t *testing.T, e client.Edition, answer func(n int) string) (v *client.Vault, asked *int) {
	t.Helper()
	asked = new(int)
	c := clientOf(t, func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if strings.HasSuffix(r.URL.Path, "/tokens") {
			return response(http.StatusCreated, `{"token":"ast_tok_x","expires_at":"2036-01-01T00:00:00Z"}`), nil
		}
		*asked++
		return response(http.StatusOK, answer(*asked)), nil
	}, func(o *client.Options) { o.Edition = e })
	return c.Vault(), asked
}

// TestEndlessList: a list that goes on for ever is no reason to.
func TestEndlessList(t *testing.T) {
	for _, items := range []string{``, `{"path":"a/a"}`} {
		v, asked := answering(t, client.EditionA, func(n int) string { return fmt.Sprintf(`{"items":[%s],"next_cursor":"c%d"}`, items, n) })
		_, err := v.Describe(t.Context(), "a/b")
		wantCode(t, err, client.CodeInvalidResponse, http.StatusOK)
		*asked = 0
		if page, err := v.List(t.Context(), vault.Query{Prefix: "a/b"}); err != nil || len(page.Items) != 0 || page.Next == "" || *asked > 25 {
			t.Errorf("%+v after %d requests, %v", page, *asked, err)
		}
	}
	v, _ := answering(t, client.EditionA, func(int) string { return `{"items":[],"next_cursor":"c"}` })
	_, err := v.List(t.Context(), vault.Query{After: "c"})
	wantCode(t, err, client.CodeInvalidResponse, http.StatusOK)
	v, _ = answering(t, client.EditionA, func(int) string { return `{"items":[{"path":"a/a"},{"path":"a/b"}]}` })
	_, err = v.List(t.Context(), vault.Query{Limit: 1})
	wantCode(t, err, client.CodeInvalidResponse, http.StatusOK)
}

// TestListOfEditionB: what comes all at once is given page by page.
func TestListOfEditionB(t *testing.T) {
	var items []string
	for i := range 120 {
		items = append(items, fmt.Sprintf(`{"namespace":"a","key":"k%03d","version":1}`, 119-i))
	}
	v, _ := answering(t, client.EditionB, func(int) string { return `{"items":[` + strings.Join(items, ",") + `]}` })
	var pages []int
	last := vault.Path("")
	for q := (vault.Query{Prefix: "a/", Limit: 50}); ; {
		page, err := v.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(page.Items))
		for _, m := range page.Items {
			if m.Path <= last {
				t.Errorf("%s after %s", m.Path, last)
			}
			last = m.Path
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	want(t, "pages", pages, []int{50, 50, 20})
}

// TestForeignMetadata: what no vault here would store is not taken over.
func TestForeignMetadata(t *testing.T) {
	for _, said := range []string{
		`"description":"\u001b[2J"`, `"description":"two\nlines"`, `"description":"` + strings.Repeat("x", vault.MaxDescriptionBytes+1) + `"`,
		`"tier":"harmless"`, `"type":"\u001b[2J"`, `"tags":{"\u001b[2J":"x"}`, `"tags":{"x":"\u202e"}`, `"version":-1`, `"path":"a/../b"`,
	} {
		v, _ := answering(t, client.EditionA, func(int) string { return `{"items":[{"path":"a/b","version":1},{"path":"a/c",` + said + `}]}` })
		_, err := v.List(t.Context(), vault.Query{})
		wantCode(t, err, client.CodeInvalidResponse, http.StatusOK)
		if strings.Contains(said, "path") {
			continue
		}
		_, err = v.Describe(t.Context(), "a/c")
		wantCode(t, err, client.CodeInvalidResponse, http.StatusOK)
		v, _ = answering(t, client.EditionA, func(int) string { return `{"value":"v",` + said + `}` })
		s, err := v.Get(t.Context(), "a/c", vault.Latest)
		if wantCode(t, err, client.CodeInvalidResponse, http.StatusOK); !s.Value.IsZero() {
			t.Errorf("%s: a value beside an error", said)
		}
	}
}

// TestBlownUpAnswer: an answer takes no more room than some times its own length.
func TestBlownUpAnswer(t *testing.T) {
	const length = 8 << 20
	items := `{"items":[` + strings.Repeat("{},", length/3) + `{}]}`
	detail := `{"value":"v","detail":[` + strings.Repeat("[],", length/3) + `[]]}`
	for name, tc := range map[string]struct {
		answer string
		do     func(v *client.Vault) error
	}{
		"list":    {items, func(v *client.Vault) error { _, err := v.List(t.Context(), vault.Query{}); return err }},
		"history": {items, func(v *client.Vault) error { _, err := v.History(t.Context(), "a/b"); return err }},
		"get":     {detail, func(v *client.Vault) error { _, err := v.Get(t.Context(), "a/b", vault.Latest); return err }},
	} {
		v, _ := answering(t, client.EditionA, func(int) string { return tc.answer })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := tc.do(v)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 24*length || (err == nil) != (name == "get") {
			t.Errorf("%s: %d MiB, %v", name, took>>20, err)
		}
	}
}
