// Package catalogue is what coatcheck knows about well-known providers: their
// hosts, where in a request their key stands, and what the key looks like.
//
// The one rule: it proposes, and never decides; a destination is what stands
// with the secret.
//
//	c, err := catalogue.Load()
//	if p, ok := c.ForHost("api.openai.com"); ok {
//		place = p.In // header Authorization, "Bearer {}"
//	}
//
// The data is providers.json, embedded. Each provider brings an example call
// and an example key (made up, in pieces, so that scanners of repositories are
// not alarmed), and the tests hold every provider to its example. Prefixes are
// the parts of a key that the provider publishes as the mark of its kind; they
// are the same for all customers and tell nothing about one key.
//
// Rejected: fetching the data, since a first start must work without network
// and a catalogue that changes by itself is a way in.
//
// It does not know keys that are one of a provider's several kinds and go to
// other places, nor any host with the customer's name in it.
package catalogue

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

//go:embed providers.json
var data string

// Provider is one service. Callers do not change what its slices hold.
type Provider struct {
	Name     string   // short, unique: "openai"
	Title    string   // as people write it: "OpenAI"
	Hosts    []string // as [vault.ParseHostPattern] returns them
	Type     vault.Type
	Prefixes []string // public beginnings of its keys, the longest first; may be none
	Pattern  string   // regular expression that whole keys match
	In       vault.Place
	// Needs says what a human must put into In before it is right; "" when it
	// is complete as it stands.
	Needs   string
	Example Example
}

// Example is a call that the provider takes, with HANDLE for the secret.
type Example struct {
	Key     string // looks like a key, is none
	Method  string
	URL     string
	Headers []Header
	Body    string
}

// Header is one header of an [Example].
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Catalogue is a set of providers. It is immutable.
type Catalogue struct{ providers []Provider }

// entry is a provider in providers.json.
type entry struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Type     string   `json:"type"`
	Hosts    []string `json:"hosts"`
	Prefixes []string `json:"prefixes"`
	Pattern  string   `json:"pattern"`
	In       string   `json:"in"`
	Needs    string   `json:"needs"`
	Example  struct {
		Key     []string `json:"key"` // joined
		Method  string   `json:"method"`
		URL     string   `json:"url"`
		Headers []Header `json:"headers"`
		Body    string   `json:"body"`
	} `json:"example"`
}

// Load returns the embedded catalogue. An error means that the program was
// built with broken data.
func Load() (*Catalogue, error) {
	var entries []entry
	decoder := json.NewDecoder(strings.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&entries); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	c := &Catalogue{}
	for _, e := range entries {
		p, err := e.provider()
		if err != nil {
			return nil, fmt.Errorf("catalogue: provider %s: %w", e.Name, err)
		}
		c.providers = append(c.providers, p)
	}
	return c, nil
}

func (e entry) provider() (Provider, error) {
	kind, err := vault.ParseType(e.Type)
	if err != nil {
		return Provider{}, err
	}
	place, err := vault.ParsePlace(e.In)
	if err != nil {
		return Provider{}, err
	}
	for _, host := range e.Hosts {
		if canonical, err := vault.ParseHostPattern(host); err != nil || canonical != host {
			return Provider{}, fmt.Errorf("host %s is not in canonical form", host)
		}
	}
	slices.SortStableFunc(e.Prefixes, func(a, b string) int { return len(b) - len(a) })
	return Provider{
		Name: e.Name, Title: e.Title, Hosts: e.Hosts, Type: kind, Prefixes: e.Prefixes, Pattern: e.Pattern, In: place, Needs: e.Needs,
		Example: Example{
			Key: strings.Join(e.Example.Key, ""), Method: e.Example.Method, URL: e.Example.URL, Headers: e.Example.Headers, Body: e.Example.Body,
		},
	}, nil
}

// All returns every provider in the order of the data.
func (c *Catalogue) All() []Provider { return slices.Clone(c.providers) }

// ForHost returns the provider of a host in the form of [vault.ParseHost].
func (c *Catalogue) ForHost(host string) (Provider, bool) {
	for _, p := range c.providers {
		if slices.ContainsFunc(p.Hosts, func(pattern string) bool { return vault.MatchHost(pattern, host) }) {
			return p, true
		}
	}
	return Provider{}, false
}

// ForValue returns the provider whose public prefix v has; the longest counts
// where several match. A provider without prefixes is never returned.
func (c *Catalogue) ForValue(v secret.Value) (Provider, bool) {
	p, prefix := c.match(v)
	return p, prefix != ""
}

// PublicPrefix returns the longest public prefix that v has, or "" if there is
// none or v is hardly longer. The text comes from the catalogue, never from v.
func (c *Catalogue) PublicPrefix(v secret.Value) string {
	_, prefix := c.match(v)
	return prefix
}

// minHidden is how many bytes must follow a prefix for it to count: fewer, and
// the prefix would be much of the secret.
const minHidden = 16

func (c *Catalogue) match(v secret.Value) (Provider, string) {
	text := v.Reveal() //nolint:forbidigo // compared with public prefixes only
	var best Provider
	longest := ""
	for _, p := range c.providers {
		for _, prefix := range p.Prefixes {
			if len(prefix) > len(longest) && len(text) >= len(prefix)+minHidden && bytes.HasPrefix(text, []byte(prefix)) {
				best, longest = p, prefix
			}
		}
	}
	return best, longest
}

// Looks reports whether v looks like a key of p.
func (p Provider) Looks(v secret.Value) bool {
	pattern, err := regexp.Compile(`^(?:` + p.Pattern + `)$`)
	return err == nil && pattern.Match(v.Reveal()) //nolint:forbidigo // compared with a public pattern only
}
