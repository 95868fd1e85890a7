package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := group("secret", "Keep secrets: set, get, list, rotate, delete, import, export",
		a.secretSet(), a.secretGet(), a.secretList(), a.secretDescribe(), a.secretRotate(),
		a.secretDelete(), a.secretRestore(), a.secretHistory(), a.secretImport(), a.secretExport())
	a.vaultFlag(cmd)
	return cmd
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
				if version != vault.Latest && errors.Is(err, vault.ErrNotFound) {
					return fmt.Errorf("version %d: %w", version, err)
				}
				if err != nil {
					return err
				}
				return a.writeValue(s, encode)
			})
		},
	}
	cmd.Flags().IntVar(&version, "version", vault.Latest, "an older version, by its `NUMBER` (default the latest)")
	cmd.Flags().BoolVar(&encode, "base64", false, "write it as base64")
	return cmd
}

func (a *app) secretList() *cobra.Command {
	var r broker.ListRequest
	var all bool
	cmd := &cobra.Command{
		Use: "list [NAMESPACE]", Short: "List secrets, without values",
		Long:    "Lists secrets in the order of their paths, all of them or those below NAMESPACE. Values are\nnot read.",
		Example: "  coatcheck secret list production/openai",
		Args:    atMostOne("NAMESPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] != "" {
				namespace, err := vault.ParsePath(strings.TrimSuffix(args[0], "/"))
				if err != nil {
					return err
				}
				r.Prefix = string(namespace) + "/"
			}
			if r.Limit < 1 || r.Limit > vault.MaxPageSize {
				return usage("--limit is not 1 to %d", vault.MaxPageSize)
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
	cmd.Flags().IntVar(&r.Limit, "limit", vault.DefaultPageSize, fmt.Sprintf("secrets a page, a `NUMBER` up to %d", vault.MaxPageSize))
	cmd.Flags().StringVar(&r.After, "cursor", "", "go on after a page, by the `CURSOR` it ended with")
	cmd.Flags().BoolVar(&r.Deleted, "deleted", false, "list the trash instead")
	cmd.Flags().BoolVar(&all, "all", false, "list every page")
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
		gone, err := d.Delete(cmd.Context(), who, p, permanent)
		if err != nil {
			return err
		}
		return a.done(struct {
			Path            vault.Path `json:"path"`
			Deleted         bool       `json:"deleted"`
			Permanent       bool       `json:"permanent"`
			RestorableUntil time.Time  `json:"restorable_until,omitzero"`
		}{p, true, permanent, gone.RestorableUntil})
	})
	cmd.Long = "Moves a secret with all its versions to the trash, from where 'secret restore' brings it back\nfor 30 days. Its handles end at once, also when it is restored."
	cmd.Flags().BoolVar(&permanent, "permanent", false, "destroy it and its versions at once, also in the trash")
	return cmd
}

func (a *app) secretRestore() *cobra.Command {
	return a.onPath("restore PATH", "Bring a secret back from the trash", func(cmd *cobra.Command, d *desk, who identity.Principal, p vault.Path) error {
		meta, err := d.Restore(cmd.Context(), who, p)
		if err != nil {
			return err
		}
		return a.done(describe(meta))
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
		if r.Path = p; !own {
			if r.Value, err = a.readValue(cmd.Context(), f, string(p)); err != nil {
				return err
			}
		}
		rotated, err := d.Rotate(cmd.Context(), who, r)
		var denied *broker.Denied
		if errors.As(err, &denied) && denied.Code == broker.HumanNeeded {
			return &broker.Denied{
				Code: denied.Code, Reason: "this secret has no recipe to make a value by",
				Next: "Enter the value yourself, without --generate, or give it a recipe:\n" +
					"  coatcheck secret set '" + string(p) + "' --keep-value --generate '{base62:40}'",
			}
		}
		if err != nil {
			return err
		}
		return a.writeRotated(rotated)
	})
	cmd.Args = aPath
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		if own && (f.file != "" || f.base64 || f.exact) {
			return usage("--generate and a value of yours exclude each other")
		}
		r.Grace, err = parseDuration("grace", grace)
		return err
	}
	cmd.Long = "Stores the next value, from standard input, a file or a hidden prompt, or with --generate\n" +
		"by the secret's recipe. The version before stays readable by number for --grace."
	cmd.Example = "  coatcheck secret rotate production/openai/api-key --grace 15m"
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&grace, "grace", "0s", "how long the old version stays readable, a `DURATION` such as 15m or 1d")
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
