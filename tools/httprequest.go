package tools

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Limits of http_request beside those of package redeem.
const (
	maxFieldBytes  = 8 << 10 // one header's or parameter's value
	maxMethodBytes = 20
)

type httpRequestIn struct {
	Method  string `json:"method,omitempty" jsonschema:"pattern=^[A-Z]{1\\,20}$,default=GET" jsonschema_description:"HTTP method in capitals: GET, POST, PUT, PATCH, DELETE or HEAD."`
	URL     string `json:"url" jsonschema:"minLength=1,maxLength=8192" jsonschema_description:"Where to: an absolute https or http URL. No user information in it."`
	Headers fields `json:"headers,omitempty" jsonschema_description:"Header names and values. Write a handle where the secret would stand, for example Authorization: Bearer HANDLE."`
	Query   fields `json:"query,omitempty" jsonschema_description:"Query parameters to add to the URL; they are escaped for you."`

	// One body at most.
	JSON      object `json:"json,omitempty" jsonschema_description:"The body as a JSON object; it is written out for you. A handle may be a string in it where the secret's place is json:POINTER."`
	Form      fields `json:"form,omitempty" jsonschema_description:"The body as the fields of a form (application/x-www-form-urlencoded), escaped for you. A handle may be a field's value where the secret's place is form:NAME."`
	Multipart []part `json:"multipart,omitempty" jsonschema:"maxItems=64" jsonschema_description:"The body as the parts of a multipart/form-data form. A handle may be the value of a part without filename and content_type where the secret's place is form:NAME."`
	Body      string `json:"body,omitempty" jsonschema:"maxLength=1048576" jsonschema_description:"The body as text, for whatever json, form and multipart are not for. Say what it is with a Content-Type header, unless it is JSON."`
}

// object is a JSON object as it was written.
type object json.RawMessage

// part is one part of a multipart body.
type part struct {
	Name        string `json:"name" jsonschema:"maxLength=256"`
	Value       string `json:"value" jsonschema:"maxLength=1048576"`
	Filename    string `json:"filename,omitempty" jsonschema:"maxLength=256" jsonschema_description:"Makes it a file of that name."`
	ContentType string `json:"content_type,omitempty" jsonschema:"maxLength=256"`
}

const (
	maxParts    = 64
	maxPartName = 256
)

// fields is an object of strings whose order is kept.
type fields []pair

// call is nil for no fields.
func (fs fields) call() []redeem.Field {
	if len(fs) == 0 {
		return nil
	}
	out := make([]redeem.Field, len(fs))
	for i, f := range fs {
		out[i] = redeem.Field{Name: f.name, Value: f.value}
	}
	return out
}

func (in *httpRequestIn) set(a *args, name string) bool {
	switch name {
	case "method":
		in.Method = a.method()
	case "url":
		in.URL = a.text(redeem.MaxURLBytes)
	case "headers":
		in.Headers = a.pairs(redeem.MaxHeaders, maxFieldBytes)
	case "query":
		in.Query = a.pairs(redeem.MaxHeaders, maxFieldBytes)
	case "json":
		in.JSON = object(a.object(redeem.MaxBodyBytes))
	case "form":
		in.Form = a.pairs(redeem.MaxHeaders, redeem.MaxBodyBytes)
	case "multipart":
		in.Multipart = a.parts()
	case "body":
		in.Body = a.text(redeem.MaxBodyBytes)
	default:
		return false
	}
	return true
}

// parts reads an array of parts.
func (a *args) parts() (out []part) {
	if a.value() != json.Delim('[') {
		a.breaks("must be an array of objects")
		return nil
	}
	for a.broken == nil && a.tokens.More() {
		if len(out) == maxParts {
			a.breaks("has more than " + strconv.Itoa(maxParts) + " parts")
		}
		out = append(out, a.part())
	}
	if a.broken == nil {
		a.value() // the closing bracket
	}
	return out
}

func (a *args) part() (p part) {
	named, valued := false, false
	for _, member := range a.pairs(4, redeem.MaxBodyBytes) {
		switch member.name {
		case "name":
			p.Name, named = member.value, true
		case "value":
			p.Value, valued = member.value, true
		case "filename":
			p.Filename = member.value
		case "content_type":
			p.ContentType = member.value
		default:
			a.breaks("has a part with a member other than name, value, filename and content_type")
		}
	}
	if !named || !valued {
		a.breaks("has a part without name or value")
	}
	if max(len(p.Name), len(p.Filename), len(p.ContentType)) > maxPartName {
		a.breaks("has a name longer than " + strconv.Itoa(maxPartName) + " bytes")
	}
	return p
}

func (in *httpRequestIn) call() redeem.Call {
	c := redeem.Call{
		Method: in.Method, URL: in.URL, Headers: in.Headers.call(), Query: in.Query.call(),
		Body: in.Body, JSON: json.RawMessage(in.JSON), Form: in.Form.call(),
	}
	for _, p := range in.Multipart {
		c.Parts = append(c.Parts, redeem.Part(p))
	}
	return c
}

type httpRequestOut struct {
	Status       int               `json:"status" jsonschema_description:"The HTTP status. A status of 400 or more is the other side's answer, not a failure of this tool."`
	Headers      map[string]string `json:"headers" jsonschema_description:"The answer's headers; several of one name are joined by commas."`
	Body         string            `json:"body" jsonschema_description:"The answer's body, with every secret in it masked."`
	BodyEncoding string            `json:"body_encoding" jsonschema:"enum=utf-8,enum=base64" jsonschema_description:"base64 when the body is not text."`
	Truncated    bool              `json:"truncated" jsonschema_description:"The body was longer than the limit and its end is missing."`
	Masked       int               `json:"masked" jsonschema_description:"How many times a secret was masked in the answer."`
	Redirect     string            `json:"redirect,omitempty" jsonschema_description:"Where the answer points. It was not followed: call again with this URL if it is allowed."`
	Shown        string            `json:"shown" jsonschema:"enum=full,enum=fields,enum=status" jsonschema_description:"How much of the answer is shown. fields: only what the secret's owner lists, without headers; null stands for elements that are not shown. status: the status alone."`
	Withheld     string            `json:"withheld,omitempty" jsonschema_description:"Why the body, and perhaps the headers, are missing."`
}

func httpRequest(b Broker) Tool {
	t := Tool{
		Name:  "http_request",
		Title: "Make an HTTP request with secrets",
		Description: `Make one HTTP request in which handles from get_secret stand where secrets belong, and get the answer with every secret in it masked. The request is made only if each handle stands in the place its secret allows (see destinations of get_secret), towards a host, path and method its secret allows; otherwise nothing is sent. Give the body as one of json, form, multipart or body.

Redirects are not followed: the answer says where they point. Private and local addresses are refused unless the secret's owner named them.`,
		Hints:  Hints{ReadOnly: false, Destructive: true, Idempotent: false, OpenWorld: true},
		Input:  schema("http_request.input"),
		Output: schema("http_request.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in httpRequestIn
		f := decode(raw, &in, t.Input)
		if f == nil && in.URL == "" {
			f = badArgument("url", "is missing")
		}
		if f != nil {
			return Result{Failure: f}
		}
		if in.Method == "" {
			in.Method = "GET"
		}
		got, err := b.HTTP(ctx, who, in.call())
		if err != nil {
			return failed(err)
		}
		return httpAnswer(got)
	}
	return t
}

// httpAnswer shapes what came back. Its text is laid out like an HTTP answer,
// which models read more easily than a body escaped into JSON.
func httpAnswer(got broker.Answer) Result {
	out := httpRequestOut{
		Status: got.Status, Headers: make(map[string]string, len(got.Headers)), Body: string(got.Body), BodyEncoding: "utf-8",
		Truncated: got.Truncated, Masked: got.Masked, Redirect: got.Redirect, Withheld: got.Withheld,
		Shown: string(got.Shown),
	}
	if got.Shown == vault.ShowFull {
		out.Shown = "full"
	}
	for _, h := range got.Headers {
		if before, twice := out.Headers[h.Name]; twice {
			h.Value = before + ", " + h.Value
		}
		out.Headers[h.Name] = h.Value
	}
	if !utf8.Valid(got.Body) {
		out.Body, out.BodyEncoding = base64.StdEncoding.EncodeToString(got.Body), "base64"
	}
	res := answer(out)
	if res.Failure == nil {
		res.Text = out.text()
	}
	return res
}

func (out *httpRequestOut) text() string {
	var b strings.Builder
	b.WriteString("HTTP " + strconv.Itoa(out.Status) + "\n")
	names := make([]string, 0, len(out.Headers))
	for name := range out.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		b.WriteString(name + ": " + out.Headers[name] + "\n")
	}
	note := func(text string) { b.WriteString("[coatcheck: " + text + "]\n") }
	if out.Withheld != "" {
		note(out.Withheld)
	}
	if out.Shown == string(vault.ShowFields) {
		note("only the fields that the secret's owner lists are shown")
	}
	if out.Redirect != "" {
		note("redirect to " + out.Redirect + " was not followed")
	}
	if out.Masked > 0 {
		note("secrets masked: " + strconv.Itoa(out.Masked))
	}
	if out.BodyEncoding == "base64" {
		note("the body is not text and is shown as base64")
	}
	if out.Truncated {
		note("the body is longer than the limit; its end is missing")
	}
	b.WriteString("\n" + out.Body)
	return b.String()
}
