package client

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// plain is a value on its way into or out of JSON, and nowhere else.
type plain struct{ secret.Value }

// MarshalJSON writes the plaintext.
func (p plain) MarshalJSON() ([]byte, error) { return json.Marshal(string(p.Reveal())) }

// UnmarshalJSON reads it.
func (p *plain) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("a value is not text")
	}
	if *p = (plain{}); text != nil {
		p.Value = secret.New([]byte(*text))
	}
	return nil
}

const base64Encoding = "base64"

// written returns a value as JSON carries it.
func written(v secret.Value) (_ plain, encoding string) {
	if v.IsText() {
		return plain{v}, ""
	}
	return plain{secret.New([]byte(base64.StdEncoding.EncodeToString(v.Reveal())))}, base64Encoding
}

// stamp is a time in ISO 8601; without a zone it is UTC.
type stamp struct{ time.Time }

// UnmarshalJSON reads it; null is the zero time.
func (s *stamp) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if *s = (stamp{}); text == nil || *text == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, *text); err == nil {
			s.Time = t.UTC()
			return nil
		}
	}
	return errors.New("not a time")
}

// wireSecret is a secret in the words of both editions (CONTRACT §18 R3, R4).
type wireSecret struct {
	Path       string                     `json:"path"`
	Namespace  string                     `json:"namespace"`
	Key        string                     `json:"key"`
	Value      plain                      `json:"value"`
	Encoding   string                     `json:"encoding"`
	Version    int                        `json:"version"`
	Tier       string                     `json:"tier"`
	AccessTier string                     `json:"access_tier"`
	Type       string                     `json:"type"`
	SecretType string                     `json:"secret_type"`
	Note       *string                    `json:"description"`
	Tags       map[string]string          `json:"tags"`
	Metadata   map[string]json.RawMessage `json:"metadata"`
	CreatedAt  stamp                      `json:"created_at"`
	UpdatedAt  stamp                      `json:"updated_at"`
	AccessedAt stamp                      `json:"accessed_at"`
	ExpiresAt  stamp                      `json:"expires_at"`
	DeletedAt  stamp                      `json:"deleted_at"`
	Items      json.RawMessage            `json:"items"` // there in the answer of a list
	envelope
}

// meta returns the metadata under the path that was asked for, or without one
// under that of the answer.
func (w *wireSecret) meta(path string) Metadata {
	if path == "" {
		if path = w.Path; path == "" {
			path = w.Key
			if w.Namespace != "" {
				path = w.Namespace + "/" + w.Key
			}
		}
	}
	m := Metadata{
		Path: path, Version: w.Version, Tier: vault.Tier(first(w.Tier, w.AccessTier, string(vault.Standard))),
		Type: vault.Type(first(w.Type, w.SecretType, string(vault.Custom))), Binary: w.Encoding == base64Encoding,
		CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time, AccessedAt: w.AccessedAt.Time, ExpiresAt: w.ExpiresAt.Time, DeletedAt: w.DeletedAt.Time,
	}
	if w.Note != nil {
		m.Description = *w.Note
	}
	if len(w.Tags) > 0 {
		m.Tags = maps.Clone(w.Tags)
	}
	for name, raw := range w.Metadata {
		var text string
		switch {
		case json.Unmarshal(raw, &text) != nil || string(raw) == "null":
			if m.Extra == nil {
				m.Extra = map[string]json.RawMessage{}
			}
			m.Extra[name] = raw
		case w.Tags == nil:
			if m.Tags == nil {
				m.Tags = map[string]string{}
			}
			m.Tags[name] = text
		}
	}
	return m
}

// maxItems bounds an array: what takes three bytes in an answer takes hundreds here.
const maxItems = 50_000

// few is an array of at most [maxItems] elements.
type few[T any] []T

// UnmarshalJSON reads it, element by element; null is nil.
func (f *few[T]) UnmarshalJSON(data []byte) error {
	*f = nil
	if string(data) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return errors.New("not an array")
	}
	for *f = (few[T]{}); decoder.More(); {
		var one T
		if len(*f) == maxItems {
			return errors.New("too many elements")
		}
		if err := decoder.Decode(&one); err != nil {
			return err
		}
		*f = append(*f, one)
	}
	return nil
}

func (w *wireSecret) value() (secret.Value, error) {
	if w.Encoding != base64Encoding {
		return w.Value.Value, nil
	}
	raw, err := base64.StdEncoding.DecodeString(string(w.Value.Reveal()))
	return secret.New(raw), err
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
