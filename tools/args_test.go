package tools_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func scopes(t *testing.T, texts ...string) identity.Scopes {
	t.Helper()
	s, err := identity.ParseScopes(texts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhatTheBrokerIsAsked follows good arguments to the broker.
func TestWhatTheBrokerIsAsked(t *testing.T) {
	tests := map[string]struct {
		tool, args string
		want       any
	}{
		"handle":         {"get_secret", `{"path":"a/b"}`, broker.IssueRequest{Path: "a/b"}},
		"handle, limits": {"get_secret", `{"path":"a/b","as":"handle","version":2,"ttl_seconds":90,"uses":3}`, broker.IssueRequest{Path: "a/b", Version: 2, TTL: 90 * time.Second, Uses: 3}},
		"namespace":      {"get_secret", `{"namespace":"a/b","key":"c"}`, broker.IssueRequest{Path: "a/b/c"}},
		"key alone":      {"get_secret", `{"key":"c"}`, broker.IssueRequest{Path: "c"}},
		"redacted":       {"get_secret", `{"path":"a","as":"redacted"}`, vault.Path("a")},
		"plaintext":      {"get_secret", `{"path":"a","as":"plaintext","version":7}`, []any{vault.Path("a"), 7}},
		"list":           {"list_secrets", ``, broker.ListRequest{}},
		"list, prefix":   {"list_secrets", `{"prefix":"prod","limit":200,"cursor":"x"}`, broker.ListRequest{Prefix: "prod", Limit: 200, After: "x"}},
		"list, below":    {"list_secrets", `{"namespace":"a/b"}`, broker.ListRequest{Prefix: "a/b/"}},
		"list, slash":    {"list_secrets", `{"namespace":"a/b/"}`, broker.ListRequest{Prefix: "a/b/"}},
		"rotate":         {"rotate_secret", `{"path":"a","grace_seconds":60}`, broker.RotateRequest{Path: "a", Grace: time.Minute}},
		"set":            {"set_secret", `{"path":"a","value":" \n\u00e9 "}`, setRequest("a", " \né ")},
		"set, no value":  {"set_secret", `{"namespace":"a","key":"b"}`, broker.SetRequest{Path: "a/b"}},
		"delete":         {"delete_secret", `{"path":"a"}`, []any{vault.Path("a"), false}},
		"delete, gone":   {"delete_secret", `{"path":"a","permanent":true}`, []any{vault.Path("a"), true}},
		"token": {
			"request_token", `{"scopes":["read:secrets"],"ttl_seconds":90,"max_uses":3,"allowed_ips":["10.0.1.50","fd00::/8"],"description":"d"}`,
			broker.TokenRequest{
				Scopes: scopes(t, "secrets:read:*"), TTL: 90 * time.Second, MaxUses: 3, Description: "d",
				Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.1.50/32"), netip.MustParsePrefix("fd00::/8")},
			},
		},
		"approval":     {"check_approval", `{"approval_id":"apr_0123456789"}`, "apr_0123456789"},
		"explain":      {"explain_access", `{"path":"a"}`, broker.ExplainRequest{Path: "a", Right: policy.Use}},
		"explain, url": {"explain_access", `{"path":"a","action":"use","url":"https://x.example","method":"PUT"}`, broker.ExplainRequest{Path: "a", Right: policy.Use, URL: "https://x.example", Method: "PUT"}},
		"http": {
			"http_request",
			`{"method":"POST","url":"https://x.example/","headers":{"B":"2","A":"1"},"query":{"q":"é"},"body":"{\"a\":1}"}`,
			redeem.Call{
				Method: "POST", URL: "https://x.example/", Headers: []redeem.Field{{Name: "B", Value: "2"}, {Name: "A", Value: "1"}},
				Query: []redeem.Field{{Name: "q", Value: "é"}}, Body: `{"a":1}`,
			},
		},
	}
	for body, want := range map[string]redeem.Call{
		`"json":{"b": 1, "a": "é"}`: {JSON: json.RawMessage(`{"b": 1, "a": "é"}`)},
		`"json":{}`:                 {JSON: json.RawMessage(`{}`)},
		`"form":{"b":"2","a":""}`:   {Form: []redeem.Field{{Name: "b", Value: "2"}, {Name: "a"}}},
		`"form":{}`:                 {},
		`"multipart":[]`:            {},
		`"multipart":[{"name":"a","value":"b"},{"value":"","name":"c","filename":"d","content_type":"e"}]`: {
			Parts: []redeem.Part{{Name: "a", Value: "b"}, {Name: "c", Filename: "d", ContentType: "e"}},
		},
		`"json":{},"form":{"a":"b"}`: {JSON: json.RawMessage(`{}`), Form: []redeem.Field{{Name: "a", Value: "b"}}}, // refused by package redeem
	} {
		want.Method, want.URL = "POST", "https://x.example/"
		tests["http, "+body] = struct {
			tool, args string
			want       any
		}{"http_request", `{"method":"POST","url":"https://x.example/",` + body + `}`, want}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := fake(t)
			if res := call(t, b, test.tool, test.args); res.Failure != nil {
				t.Fatal(res.Failure)
			}
			if got, ok := b.asked.(broker.SetRequest); ok { // functions are never equal
				want := test.want.(broker.SetRequest)
				if got.Path != want.Path || got.Value.Given() != want.Value.Given() || !got.Value.Equal(want.Value) {
					t.Errorf("asked %+v\nwant  %+v", got, want)
				}
			} else if !reflect.DeepEqual(b.asked, test.want) {
				t.Errorf("asked %+v\nwant  %+v", b.asked, test.want)
			}
			if b.who != agent {
				t.Errorf("asked as %+v", b.who)
			}
		})
	}
}

const peoplesPart = "This tool stores a value and nothing else; where a secret may go and what it is say people."

func setRequest(p vault.Path, value string) broker.SetRequest {
	return broker.SetRequest{Path: p, Value: secret.New([]byte(value))}
}

// TestBadArguments holds the message for each broken rule. None repeats what
// was given: every value below has "canary" in it or is short.
func TestBadArguments(t *testing.T) {
	tests := map[string]struct {
		tool, args, message string
	}{
		"not an object":    {"get_secret", `["canary"]`, "The arguments are not a JSON object."},
		"text":             {"get_secret", `"canary"`, "The arguments are not a JSON object."},
		"broken":           {"get_secret", `{"path":"canary"`, "The arguments are not valid JSON."},
		"two objects":      {"get_secret", `{"path":"a"}{"canary":1}`, "Something follows the arguments."},
		"invalid UTF-8":    {"get_secret", "{\"path\":\"canary\xff\"}", "The arguments are not valid UTF-8."},
		"too long":         {"http_request", `{"url":"` + strings.Repeat("canary", 1<<20) + `"}`, "The arguments are longer than 4 MiB."},
		"twice":            {"get_secret", `{"path":"a","path":"canary"}`, "An argument is given twice."},
		"twice, escaped":   {"get_secret", `{"path":"a","\u0070ath":"canary"}`, "An argument is given twice."},
		"unknown":          {"get_secret", `{"path":"a","canary":1}`, "There is an argument this tool does not know."},
		"unknown but near": {"get_secret", `{"pahts":"canary"}`, "There is an argument this tool does not know; the nearest it knows is path."},
		"other case":       {"get_secret", `{"Path":"canary"}`, "There is an argument this tool does not know; the nearest it knows is path."},
		"long s":           {"get_secret", `{"aſ":"canary"}`, "There is an argument this tool does not know."},
		"number for text":  {"get_secret", `{"path":5}`, "Argument path must be a string."},
		"null for text":    {"get_secret", `{"path":null}`, "Argument path must be a string."},
		"NUL":              {"get_secret", `{"path":"canary\u0000"}`, "Argument path has a NUL character in it."},
		"long path":        {"get_secret", `{"path":"` + strings.Repeat("canary", 100) + `"}`, "Argument path is longer than 512 bytes."},
		"dots in path":     {"get_secret", `{"path":"canary/../b"}`, "Argument path segment 2 is a dot segment."},
		"empty segment":    {"get_secret", `{"path":"canary//b"}`, "Argument path segment 2 is empty."},
		"control":          {"get_secret", `{"path":"canary\n"}`, "Argument path segment 1 has a character outside A-Z a-z 0-9 . _ - and space."},
		"no path":          {"get_secret", `{}`, "Argument path is missing; give path, or namespace and key."},
		"namespace alone":  {"get_secret", `{"namespace":"canary"}`, "Argument path is missing; give path, or namespace and key."},
		"both":             {"get_secret", `{"path":"canary","key":"canary"}`, "Argument path stands beside namespace or key; give one or the other."},
		"slash in key":     {"get_secret", `{"namespace":"a","key":"canary/b"}`, "Argument key has a slash; it belongs in the namespace."},
		"enum":             {"get_secret", `{"path":"a","as":"canary"}`, "Argument as must be one of handle, redacted, plaintext."},
		"enum, case":       {"get_secret", `{"path":"a","as":"Handle"}`, "Argument as must be one of handle, redacted, plaintext."},
		"low":              {"get_secret", `{"path":"a","ttl_seconds":0}`, "Argument ttl_seconds must be 1 to 86400."},
		"high":             {"get_secret", `{"path":"a","ttl_seconds":86401}`, "Argument ttl_seconds must be 1 to 86400."},
		"huge":             {"get_secret", `{"path":"a","version":99999999999999999999}`, "Argument version must be 1 to 2147483647."},
		"fraction":         {"get_secret", `{"path":"a","uses":1.5}`, "Argument uses must be a whole number."},
		"text for number":  {"get_secret", `{"path":"a","uses":"canary"}`, "Argument uses must be a whole number."},
		"ttl of redacted":  {"get_secret", `{"path":"a","as":"redacted","ttl_seconds":5}`, "Argument ttl_seconds is for handles only."},
		"uses of plain":    {"get_secret", `{"path":"a","as":"plaintext","uses":5}`, "Argument uses is for handles only."},
		"version redacted": {"get_secret", `{"path":"a","as":"redacted","version":5}`, "Argument version is not for redacted, which shows the latest."},
		"limit":            {"list_secrets", `{"limit":201}`, "Argument limit must be 1 to 200."},
		"prefix and below": {"list_secrets", `{"prefix":"canary","namespace":"canary"}`, "Argument prefix stands beside namespace; give one or the other."},
		"no url":           {"http_request", `{}`, "Argument url is missing."},
		"small method":     {"http_request", `{"url":"canary","method":"get"}`, "Argument method must be one word in capitals."},
		"empty method":     {"http_request", `{"url":"canary","method":""}`, "Argument method must be one word in capitals."},
		"headers a list":   {"http_request", `{"url":"canary","headers":["canary"]}`, "Argument headers must be an object of strings."},
		"header a number":  {"http_request", `{"url":"canary","headers":{"canary":1}}`, "Argument headers must be an object of strings."},
		"header an object": {"http_request", `{"url":"canary","headers":{"canary":{"a":"b"}}}`, "Argument headers must be an object of strings."},
		"header twice":     {"http_request", `{"url":"canary","headers":{"canary":"a","canary":"b"}}`, "Argument headers has a name twice."},
		"long header":      {"http_request", `{"url":"canary","headers":{"a":"` + strings.Repeat("canary", 2000) + `"}}`, "Argument headers is longer than 8192 bytes."},
		"long name":        {"http_request", `{"url":"canary","query":{"` + strings.Repeat("canary", 50) + `":"a"}}`, "Argument query has a name longer than 256 bytes."},
		"cut in headers":   {"http_request", `{"url":"canary","headers":{"canary":"a"`, "The arguments are not valid JSON."},
		"json a list":      {"http_request", `{"url":"canary","json":["canary"]}`, "Argument json must be an object."},
		"json in text":     {"http_request", `{"url":"canary","json":"{\"canary\":1}"}`, "Argument json must be an object."},
		"json, null":       {"http_request", `{"url":"canary","json":null}`, "Argument json must be an object."},
		"json, broken":     {"http_request", `{"url":"canary","json":{"canary"}}`, "The arguments are not valid JSON."},
		"json, long":       {"http_request", `{"url":"canary","json":{"a":"` + strings.Repeat("canary", 1<<18) + `"}}`, "Argument json is longer than 1048576 bytes."},
		"form, a number":   {"http_request", `{"url":"canary","form":{"canary":1}}`, "Argument form must be an object of strings."},
		"form twice":       {"http_request", `{"url":"canary","form":{"canary":"a","canary":"b"}}`, "Argument form has a name twice."},
		"parts, an object": {"http_request", `{"url":"canary","multipart":{"canary":"a"}}`, "Argument multipart must be an array of objects."},
		"parts, text":      {"http_request", `{"url":"canary","multipart":["canary"]}`, "Argument multipart must be an object of strings."},
		"part, no name":    {"http_request", `{"url":"canary","multipart":[{"value":"canary"}]}`, "Argument multipart has a part without name or value."},
		"part, no value":   {"http_request", `{"url":"canary","multipart":[{"name":"canary"}]}`, "Argument multipart has a part without name or value."},
		"part, more":       {"http_request", `{"url":"canary","multipart":[{"name":"a","value":"a","canary":"a"}]}`, "Argument multipart has a part with a member other than name, value, filename and content_type."},
		"part, long name":  {"http_request", `{"url":"canary","multipart":[{"name":"` + strings.Repeat("canary", 50) + `","value":"a"}]}`, "Argument multipart has a name longer than 256 bytes."},
		"many parts":       {"http_request", `{"url":"canary","multipart":[{"name":"a","value":"a"}` + strings.Repeat(`,{"name":"a","value":"a"}`, 64) + `]}`, "Argument multipart has more than 64 parts."},
		"cut in parts":     {"http_request", `{"url":"canary","multipart":[{"name":"canary"`, "The arguments are not valid JSON."},
		"grace":            {"rotate_secret", `{"path":"a","grace_seconds":-1}`, "Argument grace_seconds must be 0 to 2592000."},
		"value, empty":     {"set_secret", `{"path":"a","value":""}`, "Argument value is empty; leave it out to be told how a human enters it."},
		"value, number":    {"set_secret", `{"path":"a","value":5}`, "Argument value must be a string."},
		"value, null":      {"set_secret", `{"path":"a","value":null}`, "Argument value must be a string."},
		"value, NUL":       {"set_secret", `{"path":"a","value":"canary\u0000"}`, "Argument value has a NUL character in it."},
		"value, long":      {"set_secret", `{"path":"a","value":"` + strings.Repeat("canary", 1<<18) + `"}`, "Argument value is longer than 1048576 bytes."},
		"value, half pair": {"set_secret", `{"path":"a","value":"canary\ud800"}`, "Argument value has a character that stands for lost text (U+FFFD), so it is not what was meant."},
		"value twice":      {"set_secret", `{"path":"a","value":"canary","value":"canary"}`, "An argument is given twice."},
		"set, destination": {"set_secret", `{"path":"a","value":"canary","destinations":["canary"]}`, peoplesPart},
		"set, tier":        {"set_secret", `{"path":"a","value":"canary","tier":"standard"}`, peoplesPart},
		"set, type":        {"set_secret", `{"path":"a","secret_type":"canary"}`, peoplesPart},
		"set, nowhere":     {"set_secret", `{"value":"canary"}`, "Argument path is missing; give path, or namespace and key."},
		"permanent":        {"delete_secret", `{"path":"a","permanent":"canary"}`, "Argument permanent must be true or false."},
		"permanent, null":  {"delete_secret", `{"path":"a","permanent":null}`, "Argument permanent must be true or false."},
		"action":           {"explain_access", `{"path":"a","action":"canary"}`, "Argument action must be one of list, use, reveal, set, rotate, delete, token."},
		"url of list":      {"explain_access", `{"path":"a","action":"list","url":"canary"}`, "Argument url is for action use only."},
		"method alone":     {"explain_access", `{"path":"a","method":"GET"}`, "Argument method stands without url."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := fake(t)
			res := call(t, b, test.tool, test.args)
			if b.asked != nil {
				t.Errorf("the broker was asked %+v", b.asked)
			}
			f := res.Failure
			if f == nil {
				t.Fatal("accepted")
			}
			if f.Code != tools.InvalidArgument || f.Message != test.message || f.Next == "" {
				t.Errorf("got  %+v\nwant %s", *f, test.message)
			}
			if strings.Contains(f.JSON(), "canary") {
				t.Errorf("the answer repeats what was given: %s", f.JSON())
			}
		})
	}
}

func TestUnknownArgumentNamesTheKnown(t *testing.T) {
	f := call(t, fake(t), "rotate_secret", `{"grace":5}`).Failure
	if f == nil || !strings.Contains(f.Message, "the nearest it knows is grace_seconds") ||
		!strings.Contains(f.Next, "grace_seconds, key, namespace, path") {
		t.Errorf("%+v", f)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"path", "namespace", "key", "as", "version", "ttl_seconds", "uses"}
	for name, want := range map[string]string{
		"ttl": "ttl_seconds", "ttlSeconds": "ttl_seconds", "TTL-SECONDS": "ttl_seconds", "secret_path": "", "pth": "path", "names": "namespace",
		"vresion": "version", "use": "uses", "x": "", "": "", strings.Repeat("a", 100): "", "format": "",
	} {
		if got := tools.Nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// FuzzDecode holds that no tool panics, asks the broker with what the schema
// forbids, or repeats a name or value it refuses.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"path":"a/b"}`, `{"namespace":"a","key":"b","as":"redacted"}`, `{"url":"https://x","headers":{"a":"b"}}`, `{"limit":5}`,
		`{"path":"a","grace_seconds":5}`, `{"path":"a","value":"b"}`, `{"path":"a","permanent":true}`, `{"path":`, `[]`, `null`, ``, `{"a":{"b":[{}]}}`, `{"path":"\ud800"}`, `{"uses":1e3}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, args string) {
		for _, tool := range tools.All(fake(t)) {
			res := tool.Call(t.Context(), agent, json.RawMessage(args))
			if (res.Failure == nil) == (res.Structured == nil) {
				t.Fatalf("neither or both: %+v", res)
			}
			if res.Cause != nil {
				t.Fatal(res.Cause)
			}
		}
	})
}
