package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// everyRoute stores, changes and reads secrets over REST, rightly and wrongly.
// Each value of own is one that must not show, except in the answer to the one
// who reads it.
func (s *scene) everyRoute(base, key string, own func() string) {
	s.t.Helper()
	headers := map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json"}
	call := func(method, target string, body any) {
		s.t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		s.http(method, base+"/v1"+target, headers, text)
	}
	type fields = map[string]any
	value, next, bad := own(), own(), own() // a search for each takes its time
	call("PUT", "/secrets/rest/a", fields{"value": value, "metadata": fields{"team": "ml", "n": 1}})
	if got := s.readValue(base+"/v1/secrets/rest/a", key); got != value {
		s.t.Errorf("the value that was stored is not the one that was read")
	}
	call("PUT", "/secrets/rest%2Fa", fields{"value": next, "secret_type": "custom", "access_tier": "standard", "metadata": nil})
	call("POST", "/secrets", fields{"path": "rest/b", "value": next})
	call("POST", "/secrets", fields{"path": "rest/b", "value": next})
	call("PATCH", "/secrets/rest/b", fields{"value": next, "grace_period_seconds": 60})
	call("POST", "/secrets/rest/b/rotate", fields{"new_value": next})
	call("POST", "/secrets/rest/b/rotate", nil)
	call("POST", "/secrets/import", fields{"namespace": "rest/env", "content": "A='" + strings.ReplaceAll(next, "'", "") + "'\n"})
	call("PUT", "/secrets/rest/a/below", fields{"value": bad})
	call("PUT", "/secrets/rest", fields{"value": bad})

	call("PUT", "/secrets/rest/c", fields{"value": []string{bad}})
	call("PUT", "/secrets/rest/c", fields{"value": bad, "tier": bad})
	call("PUT", "/secrets/rest/c", fields{"value": bad, "encoding": bad})
	call("PUT", "/secrets/rest/c", fields{"value": bad, "expires_at": bad})
	call("PUT", "/secrets/rest/c", fields{bad: bad})
	call("PUT", "/secrets/rest/c", fields{"value": strings.Repeat(bad, 1<<20/20)})
	call("POST", "/secrets/import", fields{"namespace": "rest/env", "content": bad + "\n" + bad})
	call("POST", "/secrets/import", fields{"namespace": bad, "content": "A=1"})
	call("POST", "/tokens", fields{"scope": bad, "ttl": bad})
	s.http("PUT", base+"/v1/secrets/rest/c", headers, []byte(`{"value":"`+url.QueryEscape(bad)+`",`))
	call("GET", "/secrets/"+url.PathEscape(bad), nil)
	call("PUT", "/secrets/"+url.PathEscape(bad), fields{"value": bad})
	call("GET", "/secrets?cursor="+url.QueryEscape(bad), nil)
	call("GET", "/secrets/rest/a?version="+url.QueryEscape(bad), nil)
	call("DELETE", "/tokens/"+url.PathEscape(bad), nil)
	call("GET", "/approvals/"+url.PathEscape(bad), nil)

	for _, target := range []string{"/secrets", "/secrets/rest", "/namespaces", "/tokens", "/approvals", "/me", "/audit", "/health", "/openapi.json"} {
		call("GET", target, nil)
	}
	call("DELETE", "/secrets/rest/a", nil)
	call("DELETE", "/secrets/rest/b?permanent=true", nil)
}

// readValue reads a secret in an answer that nobody else sees.
func (s *scene) readValue(target, key string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	value, _ := decode(s.t, text)["value"].(string)
	return value
}
