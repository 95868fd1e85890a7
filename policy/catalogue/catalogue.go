// Package catalogue is what coatcheck knows about well-known providers: their
// hosts, where in a request their key stands, and what the key looks like.
//
// The one rule: it proposes, and never decides; a destination is what stands
// with the secret.
//
//	known := catalogue.New()
//	if p, ok := known.ForHost("api.openai.com"); ok {
//		place = p.In // header Authorization, "Bearer {}"
//	}
//	for _, p := range known.Propose("OPENAI_API_KEY", value) {
//		destinations = p.Destinations() // one provider: say so; several: let them choose
//	}
//
// The data is providers.json, embedded. Each provider brings an example call
// and an example key (made up, in pieces, so that scanners of repositories are
// not alarmed), and the tests hold every provider to its example. Prefixes are
// the parts of a key that the provider publishes as the mark of its kind; they
// are the same for all customers and tell nothing about one key. A prefix alone
// is never enough: "sk-" begins the keys of many, and may begin a passphrase.
// A value is taken for a key when it has the prefix and the whole shape.
//
// A provider's pattern is its published form. Where none is published the
// pattern is that of any opaque token, and only a name speaks for the provider.
//
// Choices. Providers that share a prefix and a shape (Google's services, those
// of Atlassian) are all proposed: to take one would be a guess. The data is read
// at its first use, since most starts propose nothing and reading costs more
// than a start may. Rejected: fetching the data, since a first start must work
// without network and a catalogue that changes by itself is a way in; guessing
// by the shape alone, since 32 hexadecimal digits are anybody's.
//
// It knows no key that stands in the path of a URL (Telegram's bots), which is
// no place for a secret, nor any host with the customer's name in it (Shopify,
// Okta, Zendesk, Algolia, a Jira site). Of a host that takes several kinds of
// key it knows the usual one, and says where the others stand.
package catalogue

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

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
	Words    []string // what names call it besides Name, lower case, hyphens between words: "new-relic"
	Prefixes []string // public beginnings of its keys, the longest first; may be none
	Pattern  string   // regular expression that whole keys match
	In       vault.Place
	// Needs says what a human must put into In before it is right; "" when it
	// is complete as it stands.
	Needs string
	// Other says where keys of another kind for these hosts stand; "" when
	// there are none.
	Other   string
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

// Catalogue is a set of providers. It is immutable and safe for concurrent use.
type Catalogue struct{ providers func() []Provider }

// entry is a provider in providers.json.
type entry struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Type     string   `json:"type"`
	Hosts    []string `json:"hosts"`
	Words    []string `json:"words"`
	Prefixes []string `json:"prefixes"`
	Pattern  string   `json:"pattern"`
	In       string   `json:"in"`
	Needs    string   `json:"needs"`
	Other    string   `json:"other"`
	Example  struct {
		Key     []string `json:"key"` // joined
		Method  string   `json:"method"`
		URL     string   `json:"url"`
		Headers []Header `json:"headers"`
		Body    string   `json:"body"`
	} `json:"example"`
}

// New returns the embedded catalogue, which is read at its first use. Broken
// data is a broken program and panics then; a test reads it.
func New() *Catalogue {
	return &Catalogue{sync.OnceValue(func() []Provider {
		providers, err := parse(data)
		if err != nil {
			panic("catalogue: " + err.Error())
		}
		return providers
	})}
}

// parse reads providers.json.
func parse(text string) ([]Provider, error) {
	var entries []entry
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&entries); err != nil {
		return nil, err
	}
	providers := make([]Provider, 0, len(entries))
	for _, e := range entries {
		p, err := e.provider()
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", e.Name, err)
		}
		providers = append(providers, p)
	}
	return providers, nil
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
		Name: e.Name, Title: e.Title, Hosts: e.Hosts, Type: kind, Words: e.Words, Prefixes: e.Prefixes, Pattern: e.Pattern, In: place, Needs: e.Needs, Other: e.Other,
		Example: Example{
			Key: strings.Join(e.Example.Key, ""), Method: e.Example.Method, URL: e.Example.URL, Headers: e.Example.Headers, Body: e.Example.Body,
		},
	}, nil
}

// All returns every provider in the order of names.
func (c *Catalogue) All() []Provider { return slices.Clone(c.providers()) }

// ForHost returns the provider of a host in the form of [vault.ParseHost].
func (c *Catalogue) ForHost(host string) (Provider, bool) {
	for _, p := range c.providers() {
		if slices.ContainsFunc(p.Hosts, func(pattern string) bool { return vault.MatchHost(pattern, host) }) {
			return p, true
		}
	}
	return Provider{}, false
}

// Destinations are those of a key of p: every path and method of its hosts, by
// https. They are right only where Needs is "".
func (p Provider) Destinations() []vault.Destination {
	out := make([]vault.Destination, len(p.Hosts))
	for i, host := range p.Hosts {
		out[i] = vault.Destination{HTTP: &vault.HTTPDestination{Scheme: "https", Host: host, Port: vault.DefaultPort("https"), In: p.In}}
	}
	return out
}

// PublicPrefix returns the public prefix of v, which has the whole shape of a
// key that begins so, or "". The text comes from the catalogue, never from v.
func (c *Catalogue) PublicPrefix(v secret.Value) string {
	_, prefix := c.match(v)
	return prefix
}
