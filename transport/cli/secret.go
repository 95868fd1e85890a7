package cli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) secretCommand() *cobra.Command {
	return group("secret", "Keep secrets: set, get, list, rotate, delete, restore",
		a.secretSet(), a.secretGet(), a.secretList(), a.secretDescribe(), a.secretRotate(),
		a.secretDelete(), a.secretRestore(), a.secretHistory())
}

// setFlags are the flags of secret set; only those given change anything.
type setFlags struct {
	valueFlags
	keep                                           bool
	to, network, tags                              []string
	in, tier, kind, description, expires, generate string
}

func (a *app) secretSet() *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use:   "set PATH",
		Short: "Store a value, or change where it may go and how it is described",
		Long: `Stores a value under PATH, as its next version. The value comes from standard
input, a file or a hidden prompt; one line break at its end is dropped.

--to says where the value may go; without it an agent can use it nowhere:
  api.openai.com                          https, every path and method
  https://api.openai.com/v1/*             some paths
  GET,POST https://*.example.com:8443/*   some methods, every host below a name
  http://localhost:8080                   an address on this machine, named by you
--in says where in the request it stands; by default where the catalogue of
providers says, else as a bearer token:
  header:Authorization: Bearer {}    query:key    basic:user:{}`,
		Example: "  coatcheck secret set production/openai/api-key --to api.openai.com\n" +
			"  coatcheck secret set production/openai/api-key --keep-value --tier sensitive",
		Args: exactly(1, "PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := vault.ParsePath(args[0])
			if err != nil {
				return err
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				change, err := f.change(cmd, d.Catalogue, a.now())
				if err != nil {
					return err
				}
				if f.keep {
					change.Mode = vault.Replace
				} else if change.Value, err = a.readValue(f.valueFlags, string(p)); err != nil {
					return err
				}
				meta, err := d.Put(cmd.Context(), who, p, change)
				if err != nil {
					return err
				}
				return a.stored(d, meta, change)
			})
		},
	}
	flags := cmd.Flags()
	f.valueFlags.register(flags)
	flags.BoolVar(&f.keep, "keep-value", false, "change only what the other flags say")
	flags.StringArrayVar(&f.to, "to", nil, "destination the value may go to (repeatable; replaces all)")
	flags.StringVar(&f.in, "in", "", "place in the request, for every --to")
	flags.StringArrayVar(&f.network, "network", nil, "private network (CIDR) the --to hosts may lie in (repeatable)")
	flags.StringVar(&f.tier, "tier", "", "standard, sensitive or critical")
	flags.StringVar(&f.kind, "type", "", "api_key, oauth_token, db_credential, ssh_key, certificate, payment_credential or custom")
	flags.StringVar(&f.description, "description", "", "a line for people and models")
	flags.StringArrayVar(&f.tags, "tag", nil, "NAME=TEXT (repeatable; replaces all)")
	flags.StringVar(&f.expires, "expires", "", "when it stops working: 2027-01-31, an RFC 3339 time, 90d, 12h, or never")
	flags.StringVar(&f.generate, "generate", "", "recipe a rotation makes the next value by, for example {base62:40}")
	return cmd
}

// change turns the flags that were given into a change of metadata.
func (f *setFlags) change(cmd *cobra.Command, providers *catalogue.Catalogue, now time.Time) (vault.Change, error) {
	var c vault.Change
	given := cmd.Flags().Changed
	if (given("in") || given("network")) && !given("to") {
		return c, usage("--in and --network need --to")
	}
	if given("to") {
		destinations, err := f.destinations(providers)
		if err != nil {
			return c, err
		}
		c.Destinations = &destinations
	}
	if given("tier") {
		tier, err := vault.ParseTier(f.tier)
		if err != nil {
			return c, err
		}
		c.Tier = &tier
	}
	if given("type") {
		kind, err := vault.ParseType(f.kind)
		if err != nil {
			return c, err
		}
		c.Type = &kind
	}
	if given("description") {
		c.Description = &f.description
	}
	if given("tag") {
		tags, err := parseTags(f.tags)
		if err != nil {
			return c, err
		}
		c.Tags = &tags
	}
	if given("expires") {
		at, err := parseExpiry(f.expires, now)
		if err != nil {
			return c, err
		}
		c.ExpiresAt = &at
	}
	if given("generate") {
		recipe, err := parseRecipe(f.generate)
		if err != nil {
			return c, err
		}
		c.Generate = &recipe
	}
	return c, nil
}

// destinations reads --to, --in and --network. An empty --to takes all
// destinations away.
func (f *setFlags) destinations(providers *catalogue.Catalogue) ([]vault.Destination, error) {
	var network []netip.Prefix
	for _, text := range f.network {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usage("--network is not a CIDR range such as 10.0.0.0/8")
		}
		network = append(network, prefix.Masked())
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
		if p, known := providers.ForHost(d.HTTP.Host); known && f.in == "" {
			d.HTTP.In = p.In
		}
		out = append(out, d)
	}
	return out, nil
}

// stored tells what became of secret set.
func (a *app) stored(d *desk, meta vault.Metadata, c vault.Change) error {
	if a.json {
		return a.writeJSON(describe(meta))
	}
	a.note("Stored %s, version %d.", meta.Path, meta.Version)
	for _, to := range meta.Destinations {
		a.note("  may go to %s in %s", to, to.HTTP.In)
	}
	if len(meta.Destinations) == 0 {
		a.note("  may go nowhere yet: add a destination with --keep-value --to HOST")
		if p, known := d.Catalogue.ForValue(c.Value); known {
			a.note("  it looks like a key of %s: --to %s", p.Title, strings.Join(p.Hosts, " --to "))
		}
	}
	return nil
}

func (a *app) secretGet() *cobra.Command {
	var version int
	var encode bool
	cmd := &cobra.Command{
		Use: "get PATH", Short: "Write a value to standard output", Args: exactly(1, "PATH"),
		Long: "Writes the value to standard output, byte for byte; on a terminal a line break follows.\n" +
			"The reading is on record. A binary value is not written to a terminal without --base64.",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := vault.ParsePath(args[0])
			if err != nil {
				return err
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				s, err := d.Reveal(cmd.Context(), who, p, version)
				if err != nil {
					return err
				}
				return a.writeValue(s, encode)
			})
		},
	}
	cmd.Flags().IntVar(&version, "version", vault.Latest, "an older version by its number (default the latest)")
	cmd.Flags().BoolVar(&encode, "base64", false, "write it as base64")
	return cmd
}

func (a *app) secretList() *cobra.Command {
	var r broker.ListRequest
	var all bool
	cmd := &cobra.Command{
		Use: "list [NAMESPACE]", Short: "List secrets, without values", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] != "" {
				r.Prefix = strings.TrimSuffix(args[0], "/") + "/"
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				page, err := d.List(cmd.Context(), who, r)
				for err == nil && all && page.Next != "" {
					var more vault.Page
					r.After = page.Next
					if more, err = d.List(cmd.Context(), who, r); err == nil {
						page.Items, page.Next = append(page.Items, more.Items...), more.Next
					}
				}
				if err != nil {
					return err
				}
				return a.writePage(page)
			})
		},
	}
	cmd.Flags().IntVar(&r.Limit, "limit", vault.DefaultPageSize, fmt.Sprintf("secrets a page, at most %d", vault.MaxPageSize))
	cmd.Flags().StringVar(&r.After, "cursor", "", "go on where the page before ended")
	cmd.Flags().BoolVar(&r.Deleted, "deleted", false, "list the trash")
	cmd.Flags().BoolVar(&all, "all", false, "every page")
	return cmd
}

func (a *app) secretDescribe() *cobra.Command {
	return a.onPath("describe PATH", "Show everything about a secret but its value", func(cmd *cobra.Command, d *desk, who identity.Principal, p vault.Path) error {
		meta, err := d.Describe(cmd.Context(), who, p)
		if err != nil {
			return err
		}
		return a.writeMetadata(meta)
	})
}

func (a *app) secretDelete() *cobra.Command {
	var permanent bool
	cmd := a.onPath("delete PATH", "Move a secret to the trash for 30 days", func(cmd *cobra.Command, d *desk, who identity.Principal, p vault.Path) error {
		return d.Delete(cmd.Context(), who, p, permanent)
	})
	cmd.Flags().BoolVar(&permanent, "permanent", false, "destroy it and its versions at once, also in the trash")
	return cmd
}

func (a *app) secretRestore() *cobra.Command {
	return a.onPath("restore PATH", "Bring a secret back from the trash", func(cmd *cobra.Command, d *desk, who identity.Principal, p vault.Path) error {
		_, err := d.Restore(cmd.Context(), who, p)
		return err
	})
}

func (a *app) secretHistory() *cobra.Command {
	return a.onPath("history PATH", "List the versions of a secret", func(cmd *cobra.Command, d *desk, who identity.Principal, p vault.Path) error {
		versions, err := d.History(cmd.Context(), who, p)
		if err != nil {
			return err
		}
		return a.writeHistory(versions)
	})
}

func (a *app) secretRotate() *cobra.Command {
	var f valueFlags
	var r broker.RotateRequest
	var grace string
	var own bool
	cmd := a.onPath("rotate PATH", "Store the next value and retire the one before", func(cmd *cobra.Command, d *desk, who identity.Principal, p vault.Path) error {
		var err error
		r.Path = p
		if r.Grace, err = parseDuration("grace", grace); err != nil {
			return err
		}
		if !own {
			if r.Value, err = a.readValue(f, string(p)); err != nil {
				return err
			}
		}
		rotated, err := d.Rotate(cmd.Context(), who, r)
		if err != nil {
			return err
		}
		return a.writeRotated(rotated)
	})
	cmd.Long = "Stores the next value, from standard input, a file or a hidden prompt, or with --generate\n" +
		"by the secret's recipe. The version before stays readable by number for --grace."
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&grace, "grace", "0s", "how long the old version stays readable, for example 15m or 1d")
	cmd.Flags().BoolVar(&own, "generate", false, "make the value by the secret's recipe")
	return cmd
}

// onPath is a command of the owner on one secret.
func (a *app) onPath(use, short string, run func(*cobra.Command, *desk, identity.Principal, vault.Path) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: exactly(1, "PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := vault.ParsePath(args[0])
			if err != nil {
				return err
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error { return run(cmd, d, who, p) })
		},
	}
}

// exactly wants n arguments.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("needs %s and nothing else", names)
		}
		return nil
	}
}
