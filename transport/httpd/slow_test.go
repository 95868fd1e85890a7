package httpd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
)

// TestSlowREST begins a body for every operation of the REST door, by its OpenAPI
// document, and never ends it: each is answered with 408, which the document
// lists, and none reaches the desk, of which there is none.
func TestSlowREST(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	d := start(t, func(c *httpd.Config) {
		c.Limits.BodyTime = 200 * time.Millisecond
		c.REST = rest.New(nil, func(r *http.Request) (identity.Principal, bool) { return httpd.PrincipalFrom(r.Context()) }, nil)
		c.RESTOpen = rest.OpenPaths()
	})
	if err := json.Unmarshal([]byte(d.raw(t, request("GET", "/v1/openapi.json", "")).body), &doc); err != nil {
		t.Fatal(err)
	}
	began := d.calls.Load()
	var all sync.WaitGroup
	operations := 0
	for pattern, item := range doc.Paths {
		for method, described := range item {
			var o struct{ Responses map[string]any }
			if method == "parameters" {
				continue
			}
			if err := json.Unmarshal(described, &o); err != nil || o.Responses["408"] == nil {
				t.Errorf("%s %s does not list 408: %v", method, pattern, err)
			}
			operations++
			method = strings.ToUpper(method)
			target := "/v1" + strings.NewReplacer("{path}", "a/b", "{id}", "c").Replace(pattern)
			c := dial(t, d.addr)
			head := strings.Replace(request(method, target, ""), "Content-Length: 0", "Content-Length: 1000", 1)
			_, _ = io.WriteString(c, strings.ReplaceAll(head, "{port}", d.port)+`{"half":`)
			all.Go(func() { want(t, read(t, c, method), 408, "VALIDATION_ERROR") })
		}
	}
	all.Wait()
	if operations < 25 || d.calls.Load() != began {
		t.Errorf("%d operations, %d requests were handed on", operations, d.calls.Load()-began)
	}
}
