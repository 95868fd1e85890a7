package httpd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

// TestRESTPaths: what lies below /v1/ comes as it was sent.
func TestRESTPaths(t *testing.T) {
	var got string
	var door policy.Door
	d := start(t, func(c *httpd.Config) {
		c.REST = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			who, _ := httpd.PrincipalFrom(r.Context())
			got, door = r.RequestURI, who.Door
		})
	})
	for _, target := range []string{
		"/v1/", "/v1/secrets", "/v1/secrets/production%2Fopenai%2Fapi-key?version=1", "/v1//secrets", "/v1/./a", "/v1/../mcp", "/v1/a%2e%2e", "/v1/%00", "/v1/%252F",
		"/v1/a|b%2Fc", "/v1/secrets/", "/v1/HEALTH", "/v1/health/",
	} {
		t.Run(target, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} {
				got, door = "", ""
				a := d.raw(t, request(method, target, ""))
				if a.status != 200 || got != target || door != policy.DoorREST || a.header.Get("Location") != "" {
					t.Fatalf("%s: status %d, arrived as %q at the door %q", method, a.status, got, door)
				}
			}
		})
	}
	d = start(t, func(c *httpd.Config) { c.REST, c.RESTOpen = nil, nil })
	for _, target := range []string{"/v1/", "/v1/secrets/a", "/v1/health"} {
		want(t, d.raw(t, request("GET", target, "")), 404, "NOT_FOUND")
	}
}

// TestRESTOpen: an open path needs no credential, gives none away, and has all
// else asked of it.
func TestRESTOpen(t *testing.T) {
	var known bool
	var header http.Header
	d := start(t, func(c *httpd.Config) {
		c.Limits.Body = 100
		c.Authenticate = func(context.Context, string, string) (identity.Principal, error) {
			t.Error("looked up")
			return identity.Principal{}, identity.ErrUnauthenticated
		}
		c.REST = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, known = httpd.PrincipalFrom(r.Context())
			header = r.Header
			if httpd.Stopping(r.Context()) == nil {
				t.Error("is not told of the end")
			}
		})
	})
	for name, fields := range map[string][]string{"none": {"-Authorization"}, "right": nil, "wrong": {"Authorization: Bearer wrong", "X-Agent-Key: other"}} {
		t.Run(name, func(t *testing.T) {
			want(t, d.raw(t, request("GET", "/v1/health?x=1", "", fields...)), 200, "")
			if known || header.Get("Authorization") != "" || header.Get("X-Agent-Key") != "" {
				t.Error("knows who asks, or the credential")
			}
		})
	}
	reached := d.calls.Load()
	for name, tt := range map[string]struct {
		text   string
		status int
		code   string
	}{
		"host":       {request("GET", "/v1/health", "", "Host: evil.example"), 403, "HOST_REFUSED"},
		"origin":     {request("GET", "/v1/health", "", "Origin: https://evil.example"), 403, "ORIGIN_REFUSED"},
		"target":     {request("GET", "http://127.0.0.1:{port}/v1/health", ""), 400, "BAD_TARGET"},
		"large body": {request("GET", "/v1/health", strings.Repeat("x", 101)), 413, "VALIDATION_ERROR"},
		"type":       {request("GET", "/v1/health", "x", "Content-Type: text/plain"), 415, "VALIDATION_ERROR"},
		"header":     {request("GET", "/v1/health", "", "X-Fill: "+strings.Repeat("a", 20<<10)), 431, ""},
		"a slash":    {request("GET", "/v1/health/", "", "-Authorization"), 401, "UNAUTHORIZED"},
		"encoded":    {request("GET", "/v1/h%65alth", "", "-Authorization"), 401, "UNAUTHORIZED"},
		"below":      {request("GET", "/v1/health/x", "", "-Authorization"), 401, "UNAUTHORIZED"},
	} {
		t.Run(name, func(t *testing.T) { want(t, d.raw(t, tt.text), tt.status, tt.code) })
	}
	if d.calls.Load() != reached {
		t.Error("reached the handler")
	}
}

// TestRESTGetIsACall: it is counted and waited for as one.
func TestRESTGetIsACall(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits = httpd.Limits{PerPrincipal: 2, Streams: 1}
		c.REST = hold(in, out)
	})
	var calls []io.Reader
	for range 2 {
		c := dial(t, d.addr)
		_, _ = io.WriteString(c, strings.ReplaceAll(request("GET", "/v1/secrets/a", ""), "{port}", d.port))
		select {
		case <-in:
		case <-time.After(10 * time.Second):
			t.Fatal("is counted as a stream")
		}
		calls = append(calls, c)
	}
	want(t, d.raw(t, request("GET", "/v1/secrets/a", "")), 429, "RATE_LIMITED")
	want(t, d.raw(t, request("POST", "/mcp", "{}")), 429, "RATE_LIMITED")
	want(t, d.raw(t, request("GET", "/mcp", "")), 200, "")
	idle := dial(t, d.addr)
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	ends(t, idle) // streams have been ended by now
	select {
	case err := <-stopped:
		t.Fatalf("did not wait for the calls: %v", err)
	default:
	}
	close(out)
	for _, c := range calls {
		want(t, read(t, c, "GET"), 200, "")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestRESTBodies: a type is asked for only where there is a body.
func TestRESTBodies(t *testing.T) {
	d := start(t, nil)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, field := range []string{"-Content-Type", "Content-Type: application/json", "Content-Type: text/plain"} {
			want(t, d.raw(t, request(method, "/v1/secrets/a", "", field)), 200, "")
		}
		bare := strings.Replace(request(method, "/v1/secrets/a", "", "-Content-Type"), "Content-Length: 0\r\n", "", 1)
		want(t, d.raw(t, bare), 200, "")
		a := d.raw(t, request(method, "/v1/secrets/a", `{"a":1}`))
		if want(t, a, 200, ""); a.body != "7" {
			t.Errorf("%s: the handler read %s bytes", method, a.body)
		}
		for _, field := range []string{"-Content-Type", "Content-Type: text/plain", "Content-Encoding: gzip"} {
			want(t, d.raw(t, request(method, "/v1/secrets/a", "{}", field)), 415, "VALIDATION_ERROR")
		}
	}
}

// TestOneEnvelope: every refusal below /v1/ has the form that the clients there
// read, says nothing of what was asked, and reached nobody.
func TestOneEnvelope(t *testing.T) {
	const path = "/v1/secrets/canary%2Fpath"
	in, out := make(chan struct{}), make(chan struct{})
	defer close(out)
	hurried := func(c *httpd.Config) { c.Limits.Rate, c.Limits.OpenRate, c.Limits.Failures = 1, 1, 1 }
	for name, tt := range map[string]struct {
		change func(*httpd.Config)
		before func(*testing.T, *desk)
		text   string
		status int
		code   string
		field  string // that the answer has too
		again  bool   // send it until that is the answer
	}{
		"host":           {text: request("GET", path, "", "Host: canary.example"), status: 403, code: "HOST_REFUSED"},
		"two hosts":      {text: request("GET", path, "", "Host: canary.example", "Host: 127.0.0.1:{port}"), status: 400}, // net/http's own text
		"bad percent":    {text: request("GET", "/v1/secrets/%zz", ""), status: 400},                                      // the same
		"origin":         {text: request("GET", path, "", "Origin: https://canary.example"), status: 403, code: "ORIGIN_REFUSED"},
		"site":           {text: request("GET", path, "", "Sec-Fetch-Site: cross-site"), status: 403, code: "ORIGIN_REFUSED"},
		"no credential":  {text: request("GET", path, "", "-Authorization"), status: 401, code: "UNAUTHORIZED", field: "Www-Authenticate"},
		"malformed":      {text: request("GET", path, "", "Authorization: Bearer canary canary"), status: 401, code: "UNAUTHORIZED", field: "Www-Authenticate"},
		"wrong":          {text: request("GET", path, "", "Authorization: Bearer canary"), status: 401, code: "UNAUTHORIZED", field: "Www-Authenticate"},
		"fault":          {text: request("GET", path, "", "Authorization: Bearer ass_live_fault"), status: 500, code: "INTERNAL"},
		"no type":        {text: request("PUT", path, `{"value":"canary"}`, "-Content-Type"), status: 415, code: "VALIDATION_ERROR"},
		"encoded":        {text: request("PUT", path, `{"value":"canary"}`, "Content-Encoding: gzip"), status: 415, code: "VALIDATION_ERROR"},
		"large":          {text: request("PUT", path, strings.Repeat("canary", 1000)), status: 413, code: "VALIDATION_ERROR"},
		"broken chunk":   {text: strings.Replace(request("PUT", path, ""), "Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\ncanary\r\n", 1), status: 400, code: "VALIDATION_ERROR"},
		"slow":           {text: strings.Replace(request("PUT", path, `{"canary`), "Content-Length: 8", "Content-Length: 80", 1), status: 408, code: "VALIDATION_ERROR"},
		"not there":      {change: func(c *httpd.Config) { c.REST, c.RESTOpen = nil, nil }, text: request("GET", path, ""), status: 404, code: "NOT_FOUND"},
		"too fast":       {change: hurried, again: true, text: request("GET", path, ""), status: 429, code: "RATE_LIMITED", field: "Retry-After"},
		"too fast, open": {change: hurried, again: true, text: request("GET", "/v1/health", ""), status: 429, code: "RATE_LIMITED", field: "Retry-After"},
		"too many wrong": {change: hurried, again: true, text: request("GET", path, "", "Authorization: Bearer canary"), status: 429, code: "RATE_LIMITED", field: "Retry-After"},
		"too many at once": {
			change: func(c *httpd.Config) { c.Limits.PerPrincipal, c.MCP = 1, hold(in, out) },
			before: func(t *testing.T, d *desk) {
				t.Helper()
				_, _ = io.WriteString(dial(t, d.addr), strings.ReplaceAll(request("POST", "/mcp", "{}"), "{port}", d.port))
				<-in
			},
			text: request("GET", path, ""), status: 429, code: "RATE_LIMITED", field: "Retry-After",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var reached bool
			d := start(t, func(c *httpd.Config) {
				c.Limits.Body, c.Limits.BodyTime, c.Limits.Drain = 1000, 300*time.Millisecond, 20*time.Millisecond
				c.REST = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
				if tt.change != nil {
					tt.change(c)
				}
			})
			if tt.before != nil {
				tt.before(t, d)
			}
			a := d.raw(t, tt.text)
			for i := 0; tt.again && a.status != tt.status && i < 100; i++ {
				reached = false
				a = d.raw(t, tt.text)
			}
			want(t, a, tt.status, tt.code)
			if reached {
				t.Error("reached the handler")
			}
			if strings.Contains(a.body, "canary") || strings.Contains(fmt.Sprint(a.header), "canary") {
				t.Errorf("says what was asked: %v %s", a.header, a.body)
			}
			if tt.code == "" {
				return
			}
			for field, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if a.header.Get(field) != value {
					t.Errorf("%s: %q", field, a.header.Get(field))
				}
			}
			for _, field := range []string{"Www-Authenticate", "Retry-After"} {
				if (a.header.Get(field) != "") != (field == tt.field) {
					t.Errorf("%s: %q", field, a.header.Get(field))
				}
			}
			if err := d.stop(); err != nil {
				t.Error(err)
			}
			if logs := d.logs.String(); strings.Contains(logs, "canary") || !strings.Contains(logs, "route=/v1 ") {
				t.Errorf("the log repeats what was asked, or does not name the route:\n%s", logs)
			}
		})
	}
}

// TestRateIsByAgent: one that asks too often is alone with it, whatever it asks.
func TestRateIsByAgent(t *testing.T) {
	d := start(t, func(c *httpd.Config) { c.Limits.Rate = 1 })
	begin, served := time.Now(), 0
	for i := range 20 {
		a := d.raw(t, request("POST", []string{"/v1/secrets/a", "/mcp", "/messages"}[i%3], "{}"))
		if a.status == 200 {
			served++
			continue
		}
		if want(t, a, 429, "RATE_LIMITED"); a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, `"retry_after":1}`) {
			t.Errorf("when to come again: %v %s", a.header, a.body)
		}
	}
	if most := 3 + int(time.Since(begin)/time.Second); served < 2 || served > most {
		t.Errorf("%d served", served)
	}
	for range 2 {
		want(t, d.raw(t, request("GET", "/v1/secrets/a", "", "Authorization: Bearer "+otherKey)), 200, "")
	}
	want(t, d.raw(t, request("GET", "/v1/health", "")), 200, "") // is not charged to it
}
