package cli

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// setFlags are the flags of secret set; only those given change anything.
type setFlags struct {
	valueFlags
	keep, known                                            bool
	to, network, tags                                      []string
	in, answer, tier, kind, description, expires, generate string
}

func (a *app) secretSet() *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use:   "set PATH",
		Short: "Store a value, or change where it may go and how it is described",
		Long: `Stores a value under PATH, as its next version. The value comes from standard
input, a file or a hidden prompt. The line break that ends a single line is
dropped; a value of several lines, or one that is not text, is kept to the byte.

--to says where the value may go; without it an agent can use it nowhere:
  api.openai.com                          https, every path and method
  https://api.openai.com/v1/*             some paths
  GET,POST https://*.example.com:8443/*   some methods, every host below a name
  http://localhost:8080                   an address on this machine, named by you
--in says where in the request it stands; by default where the catalogue of
providers says, else as a bearer token:
  header:Authorization: Bearer {}    query:key    basic:user:{}
  json:/auth/token                   a string of a JSON body, by its JSON pointer
  form:client_secret                 a field of a form, URL-encoded or multipart

--answer says how much an agent sees of what the API answers. Values are masked in
all of it; the less is shown, the less depends on that:
  full                               by default
  fields:/id,/items/*/name           some fields of a JSON answer, no headers
  status                             the status code alone

Of a value that looks like a key of a provider that coatcheck knows it is said
which command lets it go there, and on a terminal it is asked. --to-known accepts
that at once, with the type; where no single provider fits nothing is stored.

--to and --tag replace all there are; an empty one ("") takes them away, and so
do an empty --description and --generate. A date of --expires means its first
moment in UTC.`,
		Example: "  coatcheck secret set production/openai/api-key --to api.openai.com\n" +
			"  coatcheck secret set production/github/token --to-known\n" +
			"  coatcheck secret set production/openai/api-key --keep-value --tier sensitive\n" +
			"  coatcheck secret set staging/tls/key --type certificate --file key.pem",
		Args: aPath,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := vault.ParsePath(args[0])
			if err != nil {
				return err
			}
			change, err := f.change(cmd, a.now())
			if err != nil {
				return err
			}
			return a.onHome(cmd.Context(), true, a.open, func(d *desk, who identity.Principal) error {
				var looks proposal
				if f.keep {
					change.Mode = vault.Replace
				} else if change.Value, err = a.readValue(cmd.Context(), f.valueFlags, string(p)); err != nil {
					return err
				} else if looks = d.known.Propose(string(p), change.Value); f.known {
					if err := looks.apply(&change); err != nil {
						return err
					}
				}
				meta, err := d.Put(cmd.Context(), who, p, change)
				if err != nil {
					return err
				}
				return a.stored(cmd.Context(), d, who, meta, change, looks)
			})
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.BoolVar(&f.keep, "keep-value", false, "change only what the other flags say")
	flags.StringArrayVar(&f.to, "to", nil, "where the value may go, a `DESTINATION` (repeatable)")
	flags.BoolVar(&f.known, "to-known", false, "let a key of a known provider go to its provider")
	flags.StringVar(&f.in, "in", "", "where in the request it stands, a `PLACE` for every --to")
	flags.StringVar(&f.answer, "answer", "full", "how `MUCH` of an answer is shown: full, fields:POINTERS or status")
	flags.StringArrayVar(&f.network, "network", nil, "private network the --to hosts may lie in, a `CIDR` (repeatable)")
	flags.StringVar(&f.tier, "tier", "", "how carefully it is given out, a `TIER`: standard, sensitive or critical")
	flags.StringVar(&f.kind, "type", "", "what it is, a `TYPE`: api_key, oauth_token, db_credential, ssh_key, certificate, payment_credential, custom")
	flags.StringVar(&f.description, "description", "", "a line of `TEXT` for people and models")
	flags.StringArrayVar(&f.tags, "tag", nil, "a label, `NAME=TEXT` (repeatable)")
	flags.StringVar(&f.expires, "expires", "", "when it stops working, `WHEN`: 2027-01-31, an RFC 3339 time, 90d, 12h, or never")
	flags.StringVar(&f.generate, "generate", "", "how a rotation makes the next value, a `RECIPE` such as {base62:40}")
	return cmd
}

// change turns the flags that were given into a change of metadata.
func (f *setFlags) change(cmd *cobra.Command, now time.Time) (vault.Change, error) {
	var c vault.Change
	given := cmd.Flags().Changed
	if (given("in") || given("network") || given("answer")) && !given("to") {
		return c, usage("--in, --answer and --network need --to")
	}
	if f.known && (given("to") || f.keep) {
		return c, usage("--to-known goes by the value: it stands neither beside --to nor beside --keep-value")
	}
	if f.keep {
		if err := f.keepsSomething(given); err != nil {
			return c, err
		}
	}
	for _, flag := range []struct {
		name string
		set  func() error
	}{
		{"to", func() (err error) { c.Destinations, err = pointer(f.destinations()); return err }},
		{"tier", func() (err error) { c.Tier, err = pointer(vault.ParseTier(f.tier)); return err }},
		{"type", func() (err error) { c.Type, err = pointer(vault.ParseType(f.kind)); return err }},
		{"description", func() error { c.Description = &f.description; return nil }},
		{"tag", func() (err error) { c.Tags, err = pointer(parseTags(f.tags)); return err }},
		{"expires", func() (err error) { c.ExpiresAt, err = pointer(parseExpiry(f.expires, now)); return err }},
		{"generate", func() (err error) { c.Generate, err = pointer(parseRecipe(f.generate)); return err }},
	} {
		if !given(flag.name) {
			continue
		}
		if err := flag.set(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// pointer is for a field of a change that was given.
func pointer[T any](v T, err error) (*T, error) { return &v, err }

// keepsSomething refuses --keep-value beside a value, and alone.
func (f *setFlags) keepsSomething(given func(string) bool) error {
	if given("file") || given("base64") || given("exact") {
		return usage("--keep-value and a new value exclude each other")
	}
	if slices.ContainsFunc([]string{"to", "tier", "type", "description", "tag", "expires", "generate"}, given) {
		return nil
	}
	return usage("--keep-value needs a flag that says what to change")
}

// destinations reads --to, --in and --network. An empty --to takes all
// destinations away.
func (f *setFlags) destinations() ([]vault.Destination, error) {
	providers := catalogue.New()
	var network []netip.Prefix
	for _, text := range f.network {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usage("--network is not a CIDR range such as 10.0.0.0/8")
		}
		network = append(network, prefix.Masked())
	}
	answer, err := vault.ParseAnswer(f.answer)
	if err != nil {
		return nil, err
	}
	out := []vault.Destination{}
	for _, text := range f.to {
		if text == "" {
			continue
		}
		place := vault.Bearer
		if f.in != "" {
			var err error
			if place, err = vault.ParsePlace(f.in); err != nil {
				return nil, err
			}
		}
		d, err := vault.ParseDestination(text, place, network...)
		if err != nil {
			return nil, err
		}
		d.HTTP.Answer = answer
		if p, known := providers.ForHost(d.HTTP.Host); known && f.in == "" {
			if p.Needs != "" {
				return nil, usage("--to %s needs --in '%s'. %s%s", d.HTTP.Host, p.In, p.Needs, strings.TrimRight(" "+p.Other, " "))
			}
			d.HTTP.In = p.In
		}
		out = append(out, d)
	}
	return out, nil
}

// stored tells what became of secret set, and what could become of it.
func (a *app) stored(ctx context.Context, d *desk, who identity.Principal, meta vault.Metadata, c vault.Change, looks proposal) error {
	if a.json {
		return a.writeJSON(struct {
			secretRow
			Proposed []proposedRow `json:"proposed,omitempty"`
		}{describe(meta), looks.rows()})
	}
	if c.Value.Given() {
		a.note("Stored %s, version %d.", meta.Path, meta.Version)
	} else {
		a.note("Changed %s; the value stays version %d.", meta.Path, meta.Version)
	}
	var asked error
	if len(meta.Destinations) == 0 {
		meta, asked = a.offerKnown(ctx, d, who, meta, looks)
	}
	for _, to := range meta.Destinations {
		a.note("  may go to %s", wayText(to))
		if p, known := d.known.ForHost(to.HTTP.Host); known && c.Destinations != nil && to.HTTP.In == p.In {
			a.remark(p.Other)
		}
	}
	if len(meta.Destinations) == 0 {
		a.note("  may go nowhere yet: add a destination with --keep-value --to HOST")
	}
	a.propose("it", meta, looks)
	return asked
}
