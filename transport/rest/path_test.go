package rest_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestRouted gives each spelling of a path its operation.
func TestRouted(t *testing.T) {
	for target, want := range map[string]string{
		"GET /v1/secrets":                                    "listSecrets",
		"POST /v1/secrets":                                   "createSecret",
		"POST /v1/secrets/import":                            "importSecrets",
		"GET /v1/secrets/import":                             "getSecret",
		"PUT /v1/secrets/import":                             "putSecret",
		"POST /v1/secrets/%69mport":                          "",
		"GET /v1/secrets/a":                                  "getSecret",
		"GET /v1/secrets/a/b/c/d":                            "getSecret",
		"GET /v1/secrets/a%2Fb":                              "getSecret",
		"POST /v1/secrets/a/rotate":                          "rotateSecret",
		"POST /v1/secrets/a%2Fb/c/rotate":                    "rotateSecret",
		"POST /v1/secrets/rotate/rotate":                     "rotateSecret",
		"POST /v1/secrets/a%2Frotate":                        "",
		"POST /v1/secrets/rotate":                            "",
		"POST /v1/secrets/a/restore":                         "restoreSecret",
		"GET /v1/secrets/a/b/versions":                       "listVersions",
		"GET /v1/secrets/versions":                           "getSecret",
		"GET /v1/secrets/a%2Fversions":                       "getSecret",
		"DELETE /v1/secrets/a/versions":                      "deleteSecret",
		"PATCH /v1/secrets/a/rotate":                         "patchSecret",
		"DELETE /v1/agents/x":                                "revokeAgent",
		"DELETE /v1/agents/x/y":                              "",
		"DELETE /v1/agents/x%2Fy":                            "",
		"HEAD /v1/secrets/a":                                 "",
		"OPTIONS /v1/secrets":                                "",
		"GET /v2/secrets":                                    "",
		"GET /v1":                                            "",
		"GET /v1secrets":                                     "",
		"GET /v1/health":                                     "getHealth",
		"GET /v1/health/x":                                   "",
		"GET /v1/SECRETS":                                    "",
		"GET /v1/secrets/" + strings.Repeat("a/", 400) + "a": "getSecret", // too long for a path, which is told apart
	} {
		method, escaped, _ := strings.Cut(target, " ")
		if got := rest.Routed(method, escaped); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// TestPathsRefused: each of these is 400, whatever the method, and nothing of it
// comes back.
func TestPathsRefused(t *testing.T) {
	d := newDesk(t, programs)
	for name, path := range map[string]string{
		"empty at the end":        "app/CANARY/",
		"empty in the middle":     "app//CANARY",
		"empty, encoded":          "app%2F%2FCANARY",
		"an encoded slash first":  "%2FCANARY",
		"an encoded slash last":   "CANARY%2F",
		"dot":                     "app/./CANARY",
		"dot dot":                 "app/../CANARY",
		"dot dot, encoded":        "app/%2e%2E/CANARY",
		"dot dot, inside":         "app%2F..%2FCANARY",
		"NUL":                     "app/CANARY%00",
		"line feed":               "app/CANARY%0a",
		"DEL":                     "app/CANARY%7f",
		"C1":                      "app/CANARY%C2%85",
		"double encoding":         "app/CANARY%252F",
		"double encoding of dots": "app/%252e%252e/CANARY",
		"a percent sign":          "app/CANARY%25",
		"not UTF-8":               "app/CANARY%ff",
		"overlong":                "app/CANARY%C0%AF",
		"a backslash":             "app%5CCANARY",
		"beyond the alphabet":     "app/CANARY%C3%BC",
		"a semicolon":             "app/CANARY;x",
		"too long":                "app/" + strings.Repeat("CANARY", 100),
		"too deep":                "app" + strings.Repeat("/CANARY", 16),
	} {
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			got := d.send(t, "program", method+" /v1/secrets/"+path, `{"value":"x"}`)
			if got.status != 400 || got.code(t) != "VALIDATION_ERROR" || strings.Contains(got.body, "CANARY") {
				t.Errorf("%s, %s: %d %s", name, method, got.status, got.body)
			}
		}
	}
}

// FuzzRouting: what is routed has one meaning. Its parts, encoded anew, name the
// same operation, and a path among them is one that the vault would take or
// refuse by its own rules, with none of what split must not let through.
func FuzzRouting(f *testing.F) {
	for _, seed := range []string{
		"/v1/secrets/a%2Fb/c", "/v1/secrets/a/../b", "/v1/secrets/%252e", "/v1/secrets/a/rotate", "/v1/agents/x%00", "/v1/secrets//", "/v1/secrets/%zz", "/v1", "",
		"/v1/secrets/a%2F%2e%2e%2Fb", "/v1/secrets/\xff", "/v1/secrets/a b/versions",
	} {
		f.Add("GET", seed)
	}
	f.Fuzz(func(t *testing.T, method, escaped string) {
		path, id, operation := rest.Parsed(method, escaped)
		if operation == "" {
			return
		}
		for segment := range strings.SplitSeq(path+"/"+id, "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "%\x00\n\x7f") {
				t.Errorf("%q: path %q, id %q", escaped, path, id)
			}
		}
		if strings.Contains(path, "//") || strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.Contains(id, "/") {
			t.Errorf("%q: path %q, id %q", escaped, path, id)
		}
		if p, err := vault.ParsePath(path); err == nil {
			again, _, _ := rest.Parsed("PUT", "/v1/secrets/"+strings.ReplaceAll(strings.ReplaceAll(string(p), "/", "%2F"), " ", "%20"))
			if again != string(p) {
				t.Errorf("%q is %q, and encoded as one segment %q", escaped, p, again)
			}
		}
	})
}
