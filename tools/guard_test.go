package tools_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// TestEveryTool holds what each tool owes to clients and models.
func TestEveryTool(t *testing.T) {
	all := tools.All(fake(t))
	if !slices.IsSortedFunc(all, func(a, b tools.Tool) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the tools are not in the order of their names")
	}
	hints := map[string]tools.Hints{
		"check_approval": {ReadOnly: true, Idempotent: true},
		"delete_secret":  {Destructive: true, Idempotent: true},
		"explain_access": {ReadOnly: true, Idempotent: true},
		"get_secret":     {},
		"http_request":   {Destructive: true, OpenWorld: true},
		"list_secrets":   {ReadOnly: true, Idempotent: true},
		"request_token":  {},
		"rotate_secret":  {Destructive: true},
		"set_secret":     {Destructive: true},
	}
	for _, tool := range all {
		t.Run(tool.Name, func(t *testing.T) {
			if !regexp.MustCompile(`^[a-z_]{3,32}$`).MatchString(tool.Name) {
				t.Error("the name is not plain")
			}
			if tool.Title == "" || len(tool.Description) < 80 || len(tool.Description) > 1024 {
				t.Errorf("title %q, description of %d bytes", tool.Title, len(tool.Description))
			}
			if want, ok := hints[tool.Name]; !ok || tool.Hints != want {
				t.Errorf("hints %+v, want %+v", tool.Hints, want)
			}
			if tool.Hints.ReadOnly && tool.Hints.Destructive {
				t.Error("read-only and destructive at once")
			}
			for kind, schema := range map[string]json.RawMessage{"input": tool.Input, "output": tool.Output} {
				compile(t, schema)
				for _, noise := range []string{`"$ref"`, `"$defs"`, `"$schema"`, `"$id"`, `"anyOf"`, `"oneOf"`, `"allOf"`, `"null"`, "x-mcp-header"} {
					if bytes.Contains(schema, []byte(noise)) {
						t.Errorf("%s has %q in it", kind, noise)
					}
				}
				var root any
				if err := json.Unmarshal(schema, &root); err != nil {
					t.Fatal(err)
				}
				// The one argument that is the caller's own document.
				if own, ok := property(root, "json"); ok && tool.Name == "http_request" && kind == "input" {
					if own["additionalProperties"] != true {
						t.Error("the argument json is not open")
					}
					own["additionalProperties"] = false
				}
				closed(t, kind, root)
			}
			for name, described := range properties(t, tool.Input) {
				if !described {
					t.Errorf("argument %s has no description", name)
				}
			}
		})
	}
}

// property is a member of an object's schema.
func property(root any, name string) (map[string]any, bool) {
	object, _ := root.(map[string]any)
	members, _ := object["properties"].(map[string]any)
	member, ok := members[name].(map[string]any)
	return member, ok
}

// closed checks that each object of a schema has fixed members, or free names
// with values of one type.
func closed(t *testing.T, at string, node any) {
	t.Helper()
	m, ok := node.(map[string]any)
	if !ok {
		return
	}
	if m["type"] == "object" {
		switch extra := m["additionalProperties"].(type) {
		case bool:
			if extra {
				t.Errorf("%s is open", at)
			}
		case map[string]any:
			if m["properties"] != nil || extra["type"] == nil {
				t.Errorf("%s has members of any kind", at)
			}
		default:
			t.Errorf("%s is open", at)
		}
	}
	if props, ok := m["properties"].(map[string]any); ok {
		for name, p := range props {
			if kind, _ := p.(map[string]any)["type"].(string); kind == "" {
				t.Errorf("%s.%s has no type", at, name)
			}
			closed(t, at+"."+name, p)
		}
	}
	closed(t, at+"[]", m["items"])
}

// properties names the members of a schema and whether each has a description.
func properties(t *testing.T, schema json.RawMessage) map[string]bool {
	t.Helper()
	var s struct {
		Properties map[string]struct{ Description string }
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for name, p := range s.Properties {
		out[name] = p.Description != ""
	}
	return out
}

func compile(t *testing.T, text json.RawMessage) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("tool.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("tool.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestResults holds every kind of result to its tool's output schema, and text
// and structure to each other.
func TestResults(t *testing.T) {
	binary, bare := fake(t), fake(t)
	binary.value = secret.New([]byte{0xff, 0x00})
	binary.http = broker.Answer{Status: 302, Body: []byte{0xff}, Truncated: true, Redirect: "https://elsewhere.example/"}
	bare.meta.Destinations, bare.meta.Tags, bare.meta.Description = nil, nil, ""
	bare.page.Items, bare.page.Next = nil, ""
	bare.http = broker.Answer{Status: 204, Withheld: "too plain"}
	bare.said = broker.Explanation{Code: "policy_denied", Reason: "No rule allows it.", Next: "Ask the owner."}
	bare.pin = 2
	bare.stored = broker.Stored{Metadata: vault.Metadata{Path: "a/b"}, Next: "Ask the owner."}
	binary.stored = broker.Stored{Shown: true, Metadata: binary.meta, Next: "Ask the owner."}
	for name, b := range map[string]*fakeBroker{"full": fake(t), "binary": binary, "bare": bare} {
		for _, c := range []struct{ tool, args string }{
			{"explain_access", `{"path":"a/b","action":"reveal"}`},
			{"explain_access", `{"path":"a/b","url":"https://x.example/","method":"POST"}`},
			{"get_secret", `{"path":"a/b"}`},
			{"get_secret", `{"namespace":"a","key":"b","version":2,"ttl_seconds":60,"uses":1}`},
			{"get_secret", `{"path":"a/b","as":"redacted"}`},
			{"get_secret", `{"path":"a/b","as":"plaintext"}`},
			{"http_request", `{"url":"https://x.example/"}`},
			{"list_secrets", `{}`},
			{"list_secrets", ``},
			{"list_secrets", `null`},
			{"rotate_secret", `{"path":"a/b"}`},
			{"request_token", `{"scopes":["secrets:read:a/*"]}`},
			{"request_token", `{"scopes":["secrets:read:a/*","read:secrets"],"ttl_seconds":60,"max_uses":1,"allowed_ips":["10.0.0.0/8"],"description":"x"}`},
			{"check_approval", `{"approval_id":"apr_0123456789"}`},
			{"set_secret", `{"path":"a/b","value":"x"}`},
			{"set_secret", `{"namespace":"a","key":"b"}`},
			{"delete_secret", `{"path":"a/b"}`},
			{"delete_secret", `{"path":"a/b","permanent":true}`},
		} {
			t.Run(name+" "+c.tool+c.args, func(t *testing.T) {
				res := call(t, b, c.tool, c.args)
				if res.Failure != nil || res.Cause != nil {
					t.Fatalf("failed: %+v, %v", res.Failure, res.Cause)
				}
				var schema json.RawMessage
				for _, tool := range tools.All(b) {
					if tool.Name == c.tool {
						schema = tool.Output
					}
				}
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(res.Structured))
				if err != nil {
					t.Fatal(err)
				}
				if err := compile(t, schema).Validate(doc); err != nil {
					t.Errorf("%v\n%s", err, res.Structured)
				}
				if c.tool != "http_request" && res.Text != string(res.Structured) {
					t.Errorf("the text differs:\n%s\n%s", res.Text, res.Structured)
				}
				if bytes.ContainsAny(res.Structured, "\n") {
					t.Error("the structure is not on one line")
				}
			})
		}
	}
}

// TestInputSchemasSayWhatIsChecked tries each argument with values around the
// limits its schema names, and compares what schema and decoder think.
func TestInputSchemasSayWhatIsChecked(t *testing.T) {
	needed := map[string]string{
		"explain_access": `"path":"a/b"`, "get_secret": `"path":"a/b"`, "rotate_secret": `"path":"a/b"`,
		"set_secret": `"path":"a/b"`, "delete_secret": `"path":"a/b"`,
		"http_request": `"url":"https://x.example/"`, "list_secrets": `"limit":5`,
		"request_token": `"scopes":["secrets:read:a/*"]`, "check_approval": `"approval_id":"apr_0123456789"`,
	}
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	object := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":"v"`, i)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	values := []string{
		`"a"`, `""`, `"GET"`, `"get"`, `"use"`, `"handle"`, `"Handle"`, `null`, `true`, `[]`, `["a"]`, `{}`, `{"a":"b"}`, `{"a":1}`, `{"a":null}`,
		`0`, `1`, `-1`, `1.5`, `200`, `201`, `86400`, `86401`, `1000000`, `1000001`, `2592000`, `2592001`, `2147483647`, `2147483648`, `1e30`, `"1"`,
		`"` + strings.Repeat("A", 20) + `"`, `"` + strings.Repeat("A", 21) + `"`,
		long(512), long(513), long(4096), long(4097), long(8192), long(8193), object(64), object(65),
	}
	// What the schema cannot say: these go together with others, or are grammars.
	alone := map[string]bool{"scopes": true, "allowed_ips": true, "namespace": true, "key": true, "path": true, "prefix": true, "url": true, "method": true}
	for _, tool := range tools.All(fake(t)) {
		schema := compile(t, tool.Input)
		for name := range properties(t, tool.Input) {
			t.Run(tool.Name+"."+name, func(t *testing.T) {
				values := values
				if name == "body" || name == "value" {
					values = append(slices.Clip(values), long(1<<20), long(1<<20+1))
				}
				for _, value := range values {
					args := `{"` + name + `":` + value + `}`
					if !strings.HasPrefix(needed[tool.Name], `"`+name+`"`) {
						args = `{` + needed[tool.Name] + `,"` + name + `":` + value + `}`
					}
					doc, err := jsonschema.UnmarshalJSON(strings.NewReader(args))
					if err != nil {
						t.Fatal(err)
					}
					fits := schema.Validate(doc) == nil
					res := tool.Call(t.Context(), agent, json.RawMessage(args))
					taken := res.Failure == nil
					shown := args[:min(len(args), 60)]
					if taken && !fits && (value != `""` || !alone[name]) {
						t.Errorf("%s... is taken against the schema", shown)
					}
					if !taken && fits && !alone[name] && !strings.Contains(res.Failure.Message, "for handles only") && !strings.Contains(res.Failure.Message, "stands beside") {
						t.Errorf("%s... fits the schema and is refused: %s", shown, res.Failure.Message)
					}
				}
			})
		}
	}
}
