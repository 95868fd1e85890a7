package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

func (a *app) auditProve() *cobra.Command {
	return &cobra.Command{
		Use: "prove SEQ", Short: "Prove to somebody else that an event is in the record", Args: exactly(1, "SEQ"),
		Long: "Writes a proof that the event with the number SEQ of 'audit tail' is in the log that the last\n" +
			"signed checkpoint covers: a file in the form of C2SP tlog-proof, with the event in it. Whoever\n" +
			"has the public key ('audit key') checks it offline with 'audit verify --proof', or with any\n" +
			"tool that knows the format.",
		Example: "  coatcheck audit prove 42 > event-42.tlog-proof",
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || seq < 1 {
				return usage("SEQ is not the number of an event, from 1; 'coatcheck audit tail' shows them")
			}
			return a.asOwner(cmd.Context(), func(d *desk, _ identity.Principal) error {
				if err := d.sign(cmd.Context()); err != nil {
					return err
				}
				p, err := d.audit.Prove(cmd.Context(), d.db, seq)
				if err != nil {
					return fmt.Errorf("event %d: %w", seq, err)
				}
				if !a.json {
					_, err := a.Out.Write(p.Marshal())
					return err
				}
				hashes := []string{}
				for _, h := range p.Hashes {
					hashes = append(hashes, base64.StdEncoding.EncodeToString(h[:]))
				}
				return a.writeJSON(struct {
					Seq        int64    `json:"seq"`
					Index      int64    `json:"index"`
					Leaf       string   `json:"leaf"`
					Hashes     []string `json:"hashes"`
					Checkpoint string   `json:"checkpoint"`
				}{seq, p.Index, string(p.Leaf), hashes, string(p.Checkpoint)})
			})
		},
	}
}

// sign makes a checkpoint that covers every event so far: those of a desk that
// was killed too.
func (d *desk) sign(ctx context.Context) error {
	return d.home.anchor().Update(func(old []byte) ([]byte, error) { return d.audit.Checkpoint(ctx, d.db, old) })
}

func (a *app) auditKey() *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Show the public key that the record is signed with", Args: nothing,
		Long: "Writes the log's public key in the form of C2SP signed notes. Who has it, from you and not\n" +
			"from the one to be checked, can verify checkpoints, proofs and exports of this home.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onHome(cmd.Context(), false, a.inspect, func(d *desk, _ identity.Principal) error {
				key, err := d.key.Public()
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(map[string]any{"key": key})
				}
				_, err = io.WriteString(a.Out, key+"\n")
				return err
			})
		},
	}
}

// maxProof has room for the longest leaf, 64 hashes and a checkpoint.
const maxProof = 256 << 10

// verifyProof checks a proof with a key that was given, or the home's.
func (a *app) verifyProof(cmd *cobra.Command, file, key string) error {
	text, err := a.readProof(file)
	if err != nil {
		return usage("--proof cannot be read: %w", err)
	}
	p, err := audit.ParseProof(text)
	if err != nil {
		return usage("--proof: %w", err)
	}
	if key == "" {
		return a.onHome(cmd.Context(), false, a.inspect, func(d *desk, _ identity.Principal) error { return a.checkProof(p, d.key) })
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return usage("--key is not a public key as 'coatcheck audit key' shows it")
	}
	return a.checkProof(p, verifier)
}

func (a *app) readProof(file string) (text []byte, err error) {
	from := a.In
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the user names it
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // opened for reading only
		from = f
	}
	text, err = io.ReadAll(io.LimitReader(from, maxProof+1))
	if err == nil && len(text) > maxProof {
		err = errors.New("it is too long for one")
	}
	return text, err
}

func (a *app) checkProof(p audit.Proof, key note.Verifier) error {
	record, size, err := p.Check(key)
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(struct {
			Proven bool      `json:"proven"`
			Signed int64     `json:"signed"`
			Key    string    `json:"signed_by"`
			Event  recordRow `json:"event"`
		}{true, size, key.Name(), rowOf(record)})
	}
	a.note("Proven: event %d is in the log of %d events that %s signed.", record.Seq, size, key.Name())
	return a.writeRecords([]audit.Record{record})
}
