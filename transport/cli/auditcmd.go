package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func (a *app) auditCommand() *cobra.Command {
	return group("audit", "Read the record and verify that nobody changed it", a.auditTail(), a.auditVerify(),
		a.auditProve(), a.auditExport(), a.auditKey())
}

func (a *app) auditTail() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the last events, oldest first", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 || n > 10000 {
				return usage("--lines is not 1 to 10000")
			}
			return a.asOwner(cmd.Context(), func(d *desk, _ identity.Principal) error {
				records, err := d.newest(cmd.Context(), n)
				if err != nil {
					return err
				}
				return a.writeRecords(records)
			})
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many events, a `NUMBER` up to 10000")
	return cmd
}

// newest returns the last n records, oldest first, from one snapshot.
func (d *desk) newest(ctx context.Context, n int) (records []audit.Record, err error) {
	err = d.db.View(ctx, func(tx *sqldb.Tx) error {
		last, err := d.audit.Last(tx, 1)
		if err != nil || len(last) == 0 {
			return err
		}
		for after := max(0, last[0].Seq-int64(n)); ; after = records[len(records)-1].Seq {
			page, err := d.audit.Tail(tx, after, audit.MaxPage)
			records = append(records, page...)
			if err != nil || len(page) < audit.MaxPage {
				return err
			}
		}
	})
	return records, err
}

// recordRow is one event as JSON; absent fields do not apply to the event.
type recordRow struct {
	Seq      int64     `json:"seq"`
	Time     time.Time `json:"time"`
	Event    string    `json:"event"`
	Actor    string    `json:"actor"`
	Door     string    `json:"door"`
	Client   string    `json:"client,omitempty"`
	Addr     string    `json:"addr,omitempty"`
	Path     string    `json:"path,omitempty"`
	Version  int       `json:"version,omitempty"`
	Handle   string    `json:"handle,omitempty"`
	Target   string    `json:"target,omitempty"`
	Outcome  string    `json:"outcome"`
	Code     string    `json:"code,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	RuleHash string    `json:"rule_hash,omitempty"`
	Ref      int64     `json:"ref,omitempty"`
}

func rowOf(r audit.Record) recordRow {
	return recordRow{
		r.Seq, r.Time, r.Event, r.Actor, r.Door, r.Client, r.Addr, string(r.Path), r.Version, r.Handle, r.Target,
		r.Outcome, r.Code, r.Rule, r.RuleHash, r.Ref,
	}
}

func (a *app) writeRecords(records []audit.Record) error {
	rows := []recordRow{}
	table := [][]string{{"SEQ", "TIME", "EVENT", "ACTOR", "PATH", "TARGET", "OUTCOME"}}
	for _, r := range records {
		rows = append(rows, rowOf(r))
		outcome := r.Outcome
		if r.Code != "" {
			outcome += " (" + r.Code + ")"
		}
		table = append(table, []string{
			fmt.Sprint(r.Seq), r.Time.Format(time.RFC3339), r.Event, r.Actor, string(r.Path), r.Target, outcome,
		})
	}
	return a.rows(map[string]any{"events": rows}, table)
}

func (a *app) auditVerify() *cobra.Command {
	var proof, key string
	cmd := &cobra.Command{
		Use: "verify", Short: "Recompute the log and compare it with the signed checkpoints", Args: nothing,
		Long: "Reads every event, recomputes the tree and compares it with the signed checkpoints in the\n" +
			"database and with the one kept outside of it, in the home's file checkpoint. Whatever was\n" +
			"changed, removed or put in before the last checkpoint is named; then the exit code is 9.\n\n" +
			"With --proof it checks a file of 'audit prove' instead and shows the event. With --key, the\n" +
			"log's public key from 'audit key', that needs no home.",
		Example: "  coatcheck audit verify\n  coatcheck audit verify --proof event-42.tlog-proof --key KEY",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if proof != "" {
				return a.verifyProof(cmd, proof, key)
			}
			if cmd.Flags().Changed("proof") || key != "" {
				return usage("--key goes with --proof FILE")
			}
			return a.onHome(cmd.Context(), false, a.inspect, func(d *desk, _ identity.Principal) error {
				report, err := d.verify(cmd.Context())
				if err != nil {
					return err
				}
				if unanchored(report) {
					a.note("Warning: %s.", noAnchor)
				}
				if a.json {
					return a.writeJSON(map[string]any{
						"events": report.Records, "signed": report.Sealed, "anchored": report.Anchored,
					})
				}
				a.note("%d events, unchanged up to %d (signed) and %d (kept outside the database).", report.Records, report.Sealed, report.Anchored)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&proof, "proof", "", "check the proof in `FILE` (- for standard input)")
	cmd.Flags().StringVar(&key, "key", "", "with --proof: the public `KEY` (default the home's)")
	return cmd
}

// noAnchor says what the loss of the checkpoint file means.
const noAnchor = "no checkpoint is kept outside the database: a restored older copy would not show"

// unanchored reports that the log was signed before and that nothing outside
// the database tells how far.
func unanchored(r audit.Report) bool { return r.Sealed > 0 && r.Anchored == 0 }
