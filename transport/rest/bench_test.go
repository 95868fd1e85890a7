package rest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// BenchmarkRead reads one secret, with its record, by tokens that say more and
// less of what they mean: whether a path is a namespace is looked at where the
// request does not tell.
func BenchmarkRead(b *testing.B) {
	for name, tt := range map[string]struct{ scope, target string }{
		"the token names it":    {"secrets:read:app/openai/key", "/v1/secrets/app/openai/key"},
		"the path tells":        {"secrets:read:app/*", "/v1/secrets/app%2Fopenai/key"},
		"nothing tells":         {"secrets:read:app/*", "/v1/secrets/app/openai/key"},
		"one segment, as A has": {"secrets:read:app/*", "/v1/secrets/app%2Fopenai%2Fkey"},
	} {
		b.Run(name, func(b *testing.B) {
			d := newDesk(b, programs)
			d.put(b, "app/openai/key", "sk-value", vault.Change{})
			token, _ := d.send(b, "program", "POST /v1/tokens", `{"scope":"`+tt.scope+`"}`).fields(b)["token"].(string)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, tt.target, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				d.door.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
