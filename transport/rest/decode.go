package rest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// maxDepth is how many arrays and objects may stand inside each other in a body.
const maxDepth = 64

// decode reads a body, one JSON object, into in. Members that in does not have
// are ignored (R13); names count byte for byte; a name that stands twice
// anywhere, a wrong type, text that is not UTF-8 and anything after the object
// are refused. An empty body is an empty object. The error is a
// *[vault.InvalidError], which names a field that in has and never its text.
func decode(body []byte, in any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := checkDepth(body); err != nil {
		return err
	}
	err := json.Unmarshal(body, in)
	var typed *json.SemanticError
	var invalid *vault.InvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return invalid
	case errors.As(err, &typed):
		for field := range typed.JSONPointer.Tokens() {
			return &vault.InvalidError{Field: field, Rule: "is not of the right type"}
		}
		return badBody("is not a JSON object")
	}
	return syntax(err)
}

// checkDepth walks over the whole body, so that it is sound before any of it is
// taken.
func checkDepth(body []byte) error {
	tokens := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		_, err := tokens.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return syntax(err)
		case tokens.StackDepth() > maxDepth:
			return badBody("is nested too deeply")
		}
	}
}

func syntax(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return badBody("names a field twice")
	}
	return badBody("is not valid JSON")
}

func badBody(rule string) error { return &vault.InvalidError{Field: "the body", Rule: rule} }

// plaintext is a value in a body: text that goes into a [secret.Value] and
// nowhere else.
type plaintext struct{ held secret.Value }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (p *plaintext) UnmarshalJSONFrom(tokens *jsontext.Decoder) error {
	raw, err := tokens.ReadValue()
	if err != nil {
		return err
	}
	if raw.Kind() == jsontext.KindNull {
		return nil
	}
	if raw.Kind() != jsontext.KindString {
		return &vault.InvalidError{Field: "value", Rule: "is not a string"}
	}
	text, err := jsontext.AppendUnquote(make([]byte, 0, len(raw)), raw)
	p.held = secret.New(text)
	clear(text)
	return err
}

// given reports that there is text, an empty one perhaps.
func (p plaintext) given() bool { return p.held.Given() }

// as returns the value as encoding says it is written: "" and "utf-8" as it is,
// "base64" in standard base64 with padding.
func (p plaintext) as(encoding string) (secret.Value, error) {
	switch encoding {
	case "", "utf-8":
		return p.held, nil
	case "base64":
		text := p.held.Reveal() //nolint:forbidigo // on its way into the vault
		defer clear(text)
		n, err := base64.StdEncoding.Strict().Decode(text, text)
		if err != nil {
			return secret.Value{}, &vault.InvalidError{Field: "value", Rule: "is not base64, as encoding says"}
		}
		return secret.New(text[:n]), nil
	}
	return secret.Value{}, &vault.InvalidError{Field: "encoding", Rule: "is not utf-8 or base64"}
}

// moment is a time in a body: RFC 3339, or null, which is not the same as
// nothing.
type moment struct {
	time.Time
	given bool
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (m *moment) UnmarshalJSONFrom(tokens *jsontext.Decoder) error {
	token, err := tokens.ReadToken()
	if err != nil {
		return err
	}
	m.given = true
	if token.Kind() == jsontext.KindNull {
		return nil
	}
	if token.Kind() == jsontext.KindString {
		if m.Time, err = time.Parse(time.RFC3339, strings.ToUpper(token.String())); err == nil {
			return nil
		}
	}
	return &vault.InvalidError{Field: "expires_at", Rule: "is not a time in RFC 3339, such as 2030-01-31T12:00:00Z"}
}
