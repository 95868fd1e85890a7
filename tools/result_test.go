package tools_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func TestGetSecretForms(t *testing.T) {
	b := fake(t)
	const about = `"path":"production/openai/api-key","type":"api_key","tier":"standard","version":3,"pinned":`
	const to = `"destinations":[{"to":"https://api.openai.com/v1/*","in":"header:Authorization: Bearer {}"}],`
	for as, want := range map[string]string{
		"handle": `{"as":"handle",` + about + `false,"description":"for <tests> & fun","handle":"ash_0123456789abcdefghijklmnopqr",` +
			`"handle_id":"h_0123456789","expires_at":"2026-07-28T12:15:00Z",` + to +
			`"next":"Call http_request to one of the destinations and write the handle where the destination's in says. The secret is put in its place on the way out; you never see it."}`,
		"redacted": `{"as":"redacted",` + about + `false,"description":"for <tests> & fun","expires_at":"2026-07-28T13:00:00Z",` + to +
			`"redacted":"sk-••••••••","next":"This only tells what the secret is. To use it, call get_secret for a handle."}`,
		"plaintext": `{"as":"plaintext",` + about + `false,"description":"for <tests> & fun","expires_at":"2026-07-28T13:00:00Z",` + to +
			`"value":"sk-value","encoding":"utf-8","next":"Use it for this task only: do not repeat it, store it or send it to another tool."}`,
	} {
		t.Run(as, func(t *testing.T) {
			res := call(t, b, "get_secret", `{"path":"a","as":"`+as+`"}`)
			if string(res.Structured) != want {
				t.Errorf("got  %s\nwant %s", res.Structured, want)
			}
			if as != "plaintext" && strings.Contains(res.Text, "sk-value") {
				t.Error("the value is in the text")
			}
		})
	}
	b.value = secret.New([]byte{0xff, 0xfe})
	if res := call(t, b, "get_secret", `{"path":"a","as":"plaintext"}`); !strings.Contains(res.Text, `"value":"//4=","encoding":"base64"`) {
		t.Error(res.Text)
	}
	b.pin = 2
	if res := call(t, b, "get_secret", `{"path":"a","version":2}`); !strings.Contains(res.Text, `"version":2,"pinned":true`) {
		t.Error(res.Text)
	}
}

func TestHTTPText(t *testing.T) {
	b := fake(t)
	for name, test := range map[string]struct {
		answer broker.Answer
		want   string
	}{
		"plain": {b.http, "HTTP 200\nContent-Type: text/plain\nVia: a, b\n[coatcheck: secrets masked: 1]\n\nhello <b> [secret production/openai/api-key]"},
		"binary": {
			broker.Answer{Status: 206, Body: []byte{0xff}, Truncated: true},
			"HTTP 206\n[coatcheck: the body is not text and is shown as base64]\n[coatcheck: the body is longer than the limit; its end is missing]\n\n/w==",
		},
		"redirect": {
			broker.Answer{Status: 302, Headers: []redeem.Field{{Name: "Location", Value: "/x"}}, Redirect: "https://a/x"},
			"HTTP 302\nLocation: /x\n[coatcheck: redirect to https://a/x was not followed]\n\n",
		},
		"withheld": {broker.Answer{Status: 200, Withheld: "too plain"}, "HTTP 200\n[coatcheck: too plain]\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b.http = test.answer
			if res := call(t, b, "http_request", `{"url":"https://a/"}`); res.Text != test.want {
				t.Errorf("got  %q\nwant %q", res.Text, test.want)
			}
		})
	}
}

// TestNoResultHoldsAValue: a result type must not reach secret.Value, so that
// nothing but text a tool has chosen can get into an answer.
func TestNoResultHoldsAValue(t *testing.T) {
	value := reflect.TypeFor[secret.Value]()
	var look func(at string, kind reflect.Type)
	look = func(at string, kind reflect.Type) {
		if kind == value || kind.Kind() == reflect.Interface {
			t.Errorf("%s is a %s", at, kind)
		}
		k := kind.Kind()
		if k == reflect.Struct {
			for f := range kind.Fields() {
				look(at+"."+f.Name, f.Type)
			}
		}
		if k == reflect.Slice || k == reflect.Array || k == reflect.Pointer || k == reflect.Map {
			look(at+"[]", kind.Elem())
		}
	}
	for name, types := range tools.SchemaTypes {
		look(name, reflect.TypeOf(types[1]))
	}
}

func BenchmarkGetSecret(b *testing.B) {
	broker := &fakeBroker{}
	all := tools.All(broker)
	tool := all[slices.IndexFunc(all, func(t tools.Tool) bool { return t.Name == "get_secret" })]
	b.ReportAllocs()
	for b.Loop() {
		if res := tool.Call(b.Context(), agent, []byte(`{"path":"production/openai/api-key"}`)); res.Failure != nil {
			b.Fatal(res.Failure)
		}
	}
}

func BenchmarkAll(b *testing.B) {
	for b.Loop() {
		tools.All(nil)
	}
}
