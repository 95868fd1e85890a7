package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// proposal is whose key a value looks like: nobody's, one provider's, or a
// choice of several.
type proposal []catalogue.Provider

// one is the provider that the proposal can be accepted for as it stands.
func (p proposal) one() (catalogue.Provider, bool) {
	if len(p) != 1 || p[0].Needs != "" {
		return catalogue.Provider{}, false
	}
	return p[0], true
}

// kind is the type on which all of them agree.
func (p proposal) kind() (kind vault.Type, agreed bool) {
	for i, provider := range p {
		if i > 0 && provider.Type != kind {
			return "", false
		}
		kind = provider.Type
	}
	return kind, len(p) > 0
}

// apply is what --to-known does: the key goes to its provider, and has its type
// unless another was given.
func (p proposal) apply(c *vault.Change) error {
	provider, ok := p.one()
	switch {
	case ok:
		to := provider.Destinations()
		c.Destinations = &to
		if c.Type == nil {
			c.Type = &provider.Type
		}
		return nil
	case len(p) == 0:
		return usage("--to-known: the value does not look like a key of a provider that coatcheck knows; nothing was stored. Say where it may go with --to")
	case len(p) == 1:
		return usage("--to-known: a key of %s needs%s; nothing was stored. %s", p[0].Title, whereTo(p[0]), p[0].Needs)
	default:
		var text []string
		for _, provider := range p {
			text = append(text, strings.TrimSpace(whereTo(provider))+" ("+provider.Title+")")
		}
		return usage("--to-known: keys of several providers look like that; nothing was stored. Use %s", strings.Join(text, " or "))
	}
}

// whereTo are the flags that let a key go to its provider.
func whereTo(p catalogue.Provider) string {
	flags := " --to " + strings.Join(p.Hosts, " --to ")
	if p.Needs != "" {
		flags += " --in '" + p.In.String() + "'"
	}
	return flags
}

// accepting is the command that accepts what the catalogue proposes and the
// secret does not have yet; "" if it has all.
func accepting(meta vault.Metadata, p catalogue.Provider) string {
	flags := ""
	if len(meta.Destinations) == 0 {
		flags = whereTo(p)
	}
	if meta.Type == vault.Custom && p.Type != vault.Custom {
		flags += " --type " + string(p.Type)
	}
	if flags == "" {
		return ""
	}
	return "coatcheck secret set '" + string(meta.Path) + "' --keep-value" + flags
}

// propose says whose key a value looks like and how to accept that. Name is
// what people call the secret.
func (a *app) propose(name string, meta vault.Metadata, p proposal) {
	if len(p) == 1 {
		if command := accepting(meta, p[0]); command != "" {
			a.note("  %s looks like a key of %s: %s", name, p[0].Title, command)
			a.remark(p[0].Needs)
			a.remark(p[0].Other)
		}
		return
	}
	if len(p) == 0 || len(meta.Destinations) > 0 {
		return
	}
	a.note("  %s looks like a key of one of these:", name)
	for _, provider := range p {
		a.note("    %s: %s", provider.Title, accepting(meta, provider))
		a.remark(provider.Needs)
	}
}

func (a *app) remark(sentence string) {
	if sentence != "" {
		a.note("    %s", sentence)
	}
}

// offerKnown asks a person whether a key that was stored without a destination
// may go to its provider, and returns what the secret is then.
func (a *app) offerKnown(ctx context.Context, d *desk, who identity.Principal, meta vault.Metadata, p proposal) (vault.Metadata, error) {
	provider, ok := p.one()
	if !ok || a.json || !isTerminal(a.In) {
		return meta, nil
	}
	question := fmt.Sprintf("It looks like a key of %s. Let it go to %s in %s?", provider.Title, strings.Join(provider.Hosts, ", "), provider.In)
	if yes, err := a.confirm(ctx, question); !yes || err != nil {
		return meta, err
	}
	change := vault.Change{Mode: vault.Replace}
	if meta.Type != vault.Custom {
		change.Type = &meta.Type
	}
	if err := p.apply(&change); err != nil {
		return meta, err
	}
	return d.Put(ctx, who, meta.Path, change)
}

// proposedRow is a provider whose key a value looks like, as JSON.
type proposedRow struct {
	Provider string   `json:"provider"`
	Type     string   `json:"type"`
	To       []string `json:"to"`
	In       string   `json:"in"`
	Needs    string   `json:"needs,omitempty"`
}

func (p proposal) rows() []proposedRow {
	var rows []proposedRow
	for _, provider := range p {
		rows = append(rows, proposedRow{provider.Name, string(provider.Type), provider.Hosts, provider.In.String(), provider.Needs})
	}
	return rows
}
