package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func (a *app) auditExport() *cobra.Command {
	var tiles string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the whole record, for reading or for checking elsewhere", Args: nothing,
		Long: "Writes every event to standard output, one JSON object to a line, oldest first.\n\n" +
			"With --tiles it makes a folder instead, in the layout of C2SP tlog-tiles: the last signed\n" +
			"checkpoint, the hashes of the tree and all events it covers. Whoever has the public key\n" +
			"('audit key') can check the whole log offline, with any tool that knows the format.",
		Example: "  coatcheck audit export > events.jsonl\n  coatcheck audit export --tiles record-2026-07",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("tiles") && tiles == "" {
				return usage("--tiles needs the name of a folder")
			}
			return a.asOwner(cmd.Context(), func(d *desk, _ identity.Principal) error {
				if tiles == "" {
					return a.exportEvents(cmd.Context(), d)
				}
				return a.exportTiles(cmd.Context(), d, tiles)
			})
		},
	}
	cmd.Flags().StringVar(&tiles, "tiles", "", "make the folder `DIR` of files for a verifier")
	return cmd
}

// exportEvents writes events as JSON lines. The log only grows, so pages of
// several snapshots are one.
func (a *app) exportEvents(ctx context.Context, d *desk) error {
	out := bufio.NewWriterSize(a.Out, 64<<10)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for after := int64(0); ; {
		var page []audit.Record
		err := d.db.View(ctx, func(tx *sqldb.Tx) (err error) {
			page, err = d.audit.Tail(tx, after, audit.MaxPage)
			return err
		})
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		for _, r := range page {
			if err := lines.Encode(rowOf(r)); err != nil {
				return err
			}
			after = r.Seq
		}
		if len(page) < audit.MaxPage {
			return out.Flush()
		}
	}
}

// exportTiles makes a folder of files beside its place and puts it there when
// it is whole.
func (a *app) exportTiles(ctx context.Context, d *desk, dir string) (err error) {
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return codedError{fmt.Errorf("%s is there already", dir), exitConflict, "Name a folder that does not exist."}
	}
	if err := d.sign(ctx); err != nil {
		return err
	}
	beside, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*") // 0700
	if err != nil {
		return usage("--tiles: the folder cannot be made: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(beside))
		}
	}()
	events, err := d.audit.Export(ctx, d.db, func(name string, data []byte) error {
		file := filepath.Join(beside, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		return os.WriteFile(file, data, 0o600)
	})
	if err != nil {
		return err
	}
	if err := os.Rename(beside, dir); err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(map[string]any{"dir": dir, "events": events})
	}
	a.note("Wrote %d events to %s. Whoever checks them needs the key from 'coatcheck audit key'.", events, dir)
	return nil
}
