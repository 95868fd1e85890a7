package rest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestBodiesRefused: what two readers could read differently is 400, with
// nothing of it in the answer, and nothing is stored.
func TestBodiesRefused(t *testing.T) {
	d := newDesk(t, programs)
	deep := strings.Repeat(`{"a":`, 64) + `"CANARY"` + strings.Repeat("}", 64)
	for name, body := range map[string]string{
		"half an object":               `{"value":"CANARY"`,
		"a list":                       `["CANARY"]`,
		"text":                         `"CANARY"`,
		"null":                         `null`,
		"something after it":           `{"value":"CANARY"} {}`,
		"a comma too many":             `{"value":"CANARY",}`,
		"single quotes":                `{'value':'CANARY'}`,
		"not UTF-8":                    "{\"value\":\"CANARY\xff\"}",
		"half a surrogate":             `{"value":"CANARY\ud800"}`,
		"a line break in text":         "{\"value\":\"CAN\nARY\"}",
		"a field twice":                `{"value":"CANARY","value":"CANARY2"}`,
		"a field twice, escaped":       `{"value":"CANARY","\u0076alue":"CANARY2"}`,
		"an unknown field twice":       `{"value":"CANARY","x":1,"x":2}`,
		"a field twice, deep inside":   `{"value":"CANARY","metadata":{"a":{"b":1,"b":2}}}`,
		"too deep":                     `{"value":"CANARY","metadata":` + deep + `}`,
		"too deep, unknown":            `{"value":"CANARY","x":` + deep + `}`,
		"value is a number":            `{"value":42}`,
		"value is a list":              `{"value":["CANARY"]}`,
		"value is an object":           `{"value":{"CANARY":1}}`,
		"no value":                     `{}`,
		"no body":                      ``,
		"value is null":                `{"value":null}`,
		"value is empty":               `{"value":""}`,
		"another case":                 `{"Value":"CANARY"}`,
		"unknown encoding":             `{"value":"CANARY","encoding":"CANARY"}`,
		"not base64":                   `{"value":"CANARY!","encoding":"base64"}`,
		"tags hold a number":           `{"value":"CANARY","tags":{"a":1}}`,
		"tags are a list":              `{"value":"CANARY","tags":["CANARY"]}`,
		"metadata is a list":           `{"value":"CANARY","metadata":["CANARY"]}`,
		"metadata is text":             `{"value":"CANARY","metadata":"CANARY"}`,
		"tags and metadata":            `{"value":"CANARY","tags":{"a":"b"},"metadata":{}}`,
		"tiers that differ":            `{"value":"CANARY","tier":"critical","access_tier":"standard"}`,
		"types that differ":            `{"value":"CANARY","type":"ssh_key","secret_type":"custom"}`,
		"an unknown tier":              `{"value":"CANARY","tier":"CANARY"}`,
		"an unknown type":              `{"value":"CANARY","secret_type":"CANARY"}`,
		"a time that is none":          `{"value":"CANARY","expires_at":"CANARY"}`,
		"a time as a number":           `{"value":"CANARY","expires_at":1893456000}`,
		"a time as an object":          `{"value":"CANARY","expires_at":{"CANARY":1}}`,
		"a time in the past":           `{"value":"CANARY","expires_at":"2020-01-01T00:00:00Z"}`,
		"a description of two lines":   `{"value":"CANARY","description":"a\nCANARY"}`,
		"a value that is too long":     `{"value":"` + strings.Repeat("CANARY", vault.MaxValueBytes/6+1) + `"}`,
		"a value that is a reference":  `{"value":"coatcheck://app/CANARY"}`,
		"a byte order mark before it":  "\uFEFF" + `{"value":"CANARY"}`,
		"a comment":                    `{"value":"CANARY"/* CANARY */}`,
		"a number with a leading zero": `{"value":"CANARY","x":01}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"PUT /v1/secrets/app/new", "POST /v1/secrets"} {
				sent := body
				if strings.HasPrefix(target, "POST") && strings.HasPrefix(body, "{") {
					sent = `{"path":"app/new",` + strings.TrimPrefix(body, "{")
					if body == "{}" {
						sent = `{"path":"app/new"}`
					}
				}
				got := d.send(t, "owner", target, sent)
				if got.status != 400 || got.code(t) != "VALIDATION_ERROR" || strings.Contains(got.body, "CANARY") {
					t.Errorf("%s: %d %s", target, got.status, got.body)
				}
			}
			if got := d.send(t, "owner", "GET /v1/secrets", ""); !strings.Contains(got.body, `"items":[]`) {
				t.Errorf("stored: %s", got.body)
			}
		})
	}
}

// TestQueriesRefused is the same for what stands in a URL.
func TestQueriesRefused(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/key", "v", vault.Change{})
	for _, target := range []string{
		"GET /v1/secrets?limit=CANARY", "GET /v1/secrets?limit=0", "GET /v1/secrets?limit=-1", "GET /v1/secrets?limit=1.5", "GET /v1/secrets?limit=1&limit=2",
		"GET /v1/secrets?namespace=../CANARY", "GET /v1/secrets?namespace=a//CANARY", "GET /v1/secrets?namespace=%00CANARY", "GET /v1/secrets?cursor=CANARY",
		"GET /v1/secrets?recursive=CANARY", "GET /v1/secrets?deleted=1", "GET /v1/secrets?limit=%zzCANARY", "GET /v1/secrets?limit=1;CANARY",
		"GET /v1/secrets/app/key?version=0", "GET /v1/secrets/app/key?version=CANARY", "GET /v1/secrets/app/key?version=1&version=1",
		"DELETE /v1/secrets/app/key?permanent=yes", "DELETE /v1/secrets/app/key?permanent=true&permanent=false",
	} {
		got := d.send(t, "owner", target, "")
		if got.status != 400 || got.code(t) != "VALIDATION_ERROR" || strings.Contains(got.body, "CANARY") {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
	}
	if got := d.send(t, "owner", "GET /v1/secrets/app/key?version=999999999999", ""); got.status != 404 {
		t.Errorf("a version beyond counting: %d %s", got.status, got.body)
	}
	if got := d.send(t, "owner", "GET /v1/secrets/app/key", ""); got.status != 200 {
		t.Errorf("something was deleted: %d %s", got.status, got.body)
	}
}

// TestTolerated: what clients send beside the point does no harm (R13).
func TestTolerated(t *testing.T) {
	d := newDesk(t, programs)
	for _, sent := range [][2]string{
		{"PUT /v1/secrets/app/a", ` {"value" : "v", "unknown": {"a":[1,2,{"b":null}]}, "Value": 1, "": 0} ` + "\r\n"},
		{"POST /v1/secrets", `{"namespace":"app","key":"b","path":"","value":"v","tags":null,"metadata":null,"description":null,"expires_at":null}`},
		{"GET /v1/secrets?limit=1", " \n"},
		{"GET /v1/secrets/app/a", `{}`},
		{"DELETE /v1/secrets/app/a", "{ }"},
		{"POST /v1/secrets/app/a/restore", `{"unknown": 1}`},
	} {
		if got := d.send(t, "owner", sent[0], sent[1]); got.status >= 300 {
			t.Errorf("%s: %d %s", sent[0], got.status, got.body)
		}
	}
}

// TestMisplacedBodies: a body where the operation has no arguments, or has them in
// the query, is read all the same: what it says would not be done (R13).
func TestMisplacedBodies(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/kept", "v", vault.Change{})
	d.put(t, "app/trashed", "v", vault.Change{})
	_, err := d.Delete(t.Context(), identity.OwnerCLI(), "app/trashed", false)
	must(t, err)
	for _, target := range []string{"POST /v1/secrets/app/trashed/restore", "POST /v1/approvals/apr_0000000000/cancel", "DELETE /v1/secrets/app/kept", "GET /v1/secrets/app/kept", "GET /v1/health"} {
		bodies := []string{"{", `{"x":1,"x":`, `{"CANARY":1,"CANARY":2}`, `["CANARY"]`, `"CANARY"`, "{} {}"}
		if !strings.HasPrefix(target, "POST") {
			bodies = append(bodies, `{"permanent":true}`, `{"CANARY":1}`)
		}
		for _, body := range bodies {
			got := d.send(t, "ada", target, body)
			if got.status != 400 || got.code(t) != "VALIDATION_ERROR" || strings.Contains(got.body, "CANARY") {
				t.Errorf("%s with %s: %d %s", target, body, got.status, got.body)
			}
		}
	}
	if got := d.send(t, "ada", "GET /v1/secrets", ""); !strings.Contains(got.body, "app/kept") || strings.Contains(got.body, "app/trashed") {
		t.Errorf("something was done: %s", got.body)
	}
}

// TestImportNeedsBoth: text and a namespace must be given, and may be empty.
func TestImportNeedsBoth(t *testing.T) {
	d := newDesk(t, programs)
	for body, field := range map[string]string{
		`{}`: "namespace", `{"content":"A=b"}`: "namespace", `{"namespace":null,"content":"A=b"}`: "namespace",
		`{"namespace":"app"}`: "content", `{"namespace":"app","content":null}`: "content",
	} {
		got := d.send(t, "ada", "POST /v1/secrets/import", body)
		if got.status != 400 || got.fields(t)["detail"] != field+" is missing." {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	got := d.send(t, "ada", "POST /v1/secrets/import", `{"namespace":"app","content":""}`)
	if got.status != 200 || got.fields(t)["imported_count"] != 0.0 {
		t.Errorf("empty text: %d %s", got.status, got.body)
	}
	d.send(t, "ada", "POST /v1/secrets/import", `{"namespace":"","content":"flat=v"}`)
	if got := d.send(t, "program", "GET /v1/secrets?path=flat", ""); !strings.Contains(got.body, `"path":"flat"`) {
		t.Errorf("an empty namespace: %s", got.body)
	}
}

// TestBinary: a value that is not text goes in and out as base64.
func TestBinary(t *testing.T) {
	d := newDesk(t, programs)
	if got := d.send(t, "owner", "PUT /v1/secrets/app/bin", `{"value":"/wD+","encoding":"base64"}`); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got := d.send(t, "owner", "GET /v1/secrets/app/bin", "").fields(t)
	if got["value"] != "/wD+" || got["encoding"] != "base64" {
		t.Errorf("%v", got)
	}
	d.put(t, "app/text", "line\n\"quoted\" \u2028<&>\u0000é", vault.Change{})
	got = d.send(t, "owner", "GET /v1/secrets/app/text", "").fields(t)
	if _, has := got["encoding"]; got["value"] != "line\n\"quoted\" \u2028<&>\u0000é" || has {
		t.Errorf("%q", got)
	}
}

// FuzzDecode holds the decoder to the standard library's reading where both
// accept, and to its errors: they name fields of the type alone.
func FuzzDecode(f *testing.F) {
	type body struct {
		Text   *string        `json:"text"`
		Number *int           `json:"number"`
		Tags   map[string]any `json:"tags"`
	}
	for _, seed := range []string{`{"text":"a","number":1,"tags":{"a":["b"]}}`, `{"text":1}`, `{"number":1e400}`, `{`, `{"a":1,"a":2}`, "\xff", `{"tags":[]}`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var ours, theirs body
		err := rest.Decode(text, &ours)
		var invalid *vault.InvalidError
		switch {
		case err != nil && !errors.As(err, &invalid):
			t.Fatalf("%T", err)
		case err != nil:
			if invalid.Field != "the body" && invalid.Field != "text" && invalid.Field != "number" && invalid.Field != "tags" {
				t.Errorf("the error names %q", invalid.Field)
			}
			return
		case len(strings.TrimSpace(string(text))) == 0:
			return
		}
		if err := json.Unmarshal(text, &theirs); err != nil {
			t.Errorf("%q: encoding/json says %v", text, err)
		}
	})
}
