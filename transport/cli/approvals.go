package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

func (a *app) approvalsCommand() *cobra.Command {
	return group("approvals", "See what agents ask people for, and approve or deny it",
		a.approvalsList(), a.approvalsShow(), a.approvalsApprove(), a.approvalsDeny())
}

func (a *app) approvalsList() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "list", Short: "List requests for approval, newest first", Args: nothing,
		Example: "  coatcheck approvals list --status pending",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				requests, err := d.requests(cmd.Context(), who, approval.Status(status))
				if err != nil {
					return err
				}
				rows := []approvalRow{}
				table := [][]string{{"ID", "STATUS", "AGREED", "AGENT", "ACTION", "TIER", "EXPIRES", "ABOUT"}}
				for i := range requests {
					r := &requests[i]
					rows = append(rows, describeRequest(r))
					if r.Damaged { // nothing but the id is known
						table = append(table, []string{shown(r.ID), "damaged", "?", "?", "?", "?", "?", "?"})
						continue
					}
					about := string(r.Path)
					if about == "" {
						about = inShort(r.Scopes)
					}
					table = append(table, []string{
						r.ID, string(r.Status), fmt.Sprintf("%d of %d", r.Agreed(), r.Quorum), printed(r.Agent), string(r.Action), string(r.Tier),
						r.ExpiresAt.Format(time.RFC3339), printed(about),
					})
				}
				return a.rows(map[string]any{"approvals": rows}, table)
			})
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "only those in one `STATE`: pending, approved, denied, cancelled, expired, used")
	return cmd
}

// requests reads every page of the requests for approval.
func (d *desk) requests(ctx context.Context, who identity.Principal, status approval.Status) (all []approval.Request, err error) {
	for q := (approval.Query{Status: status, Limit: approval.MaxPage}); ; {
		page, err := d.Approvals(ctx, who, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.After = page.Next; q.After == 0 {
			return all, nil
		}
	}
}

func (a *app) approvalsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show all that is agreed to with a request", Args: exactly(1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				r, err := d.Approval(cmd.Context(), who, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(describeRequest(&r))
				}
				return writeTable(a.Out, requestText(&r))
			})
		},
	}
}

func (a *app) approvalsApprove() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Agree to a request, as an admin", Args: exactly(1, "ID"),
		Long: "Agrees to a request with an admin's key, from " + adminKeyName + " or a hidden prompt. On a\n" +
			"terminal the request is shown first, and you are asked. Once as many admins as it needs have\n" +
			"agreed, and its delay is over, the one who asked may do it, once. Until it is used any admin can\n" +
			"still stop it: coatcheck approvals deny ID",
		Example: "  coatcheck approvals approve apr_3fZq0aB7xK --reason 'for the release'",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.asOwner(ctx, func(d *desk, owner identity.Principal) error {
				r, err := d.Approval(ctx, owner, args[0])
				if err != nil {
					return err
				}
				if yes, err := a.agrees(ctx, &r); !yes || err != nil {
					return err
				}
				admin, err := a.admin(ctx, d)
				if err != nil {
					return err
				}
				r, err = d.Approve(ctx, admin, args[0], reason)
				if err != nil {
					return settled(r, err)
				}
				return a.writeApproved(&r)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, a `TEXT` that is kept with it")
	return cmd
}

// agrees shows a person at a terminal what they are about to approve, and asks.
func (a *app) agrees(ctx context.Context, r *approval.Request) (bool, error) {
	if a.json || !isTerminal(a.In) {
		return true, nil
	}
	if err := writeTable(a.Err, requestText(r)); err != nil {
		return false, err
	}
	yes, err := a.confirm(ctx, "Approve it?")
	if err == nil && !yes {
		a.note("It was not approved, and waits on. To end it: coatcheck approvals deny %s", r.ID)
		err = errQuiet
	}
	return yes, err
}

// writeApproved says how a request stands that was just agreed to.
func (a *app) writeApproved(r *approval.Request) error {
	until := r.ExpiresAt.Format(time.RFC3339)
	switch {
	case a.json:
		return a.writeJSON(describeRequest(r))
	case r.ReadyAt.IsZero():
		a.note("%d of %d admins agreed to %s; it waits for the others until %s.", r.Agreed(), r.Quorum, r.ID, until)
		return nil
	case r.Status == approval.Pending:
		a.note("%s is approved and can be used once from %s until %s.", r.ID, r.ReadyAt.Format(time.RFC3339), until)
	default:
		a.note("%s is approved and can be used once, until %s.", r.ID, until)
	}
	a.note("To stop it before it is used: coatcheck approvals deny %s", r.ID)
	return nil
}

func (a *app) approvalsDeny() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "deny ID", Short: "End a request, as an admin", Args: exactly(1, "ID"),
		Long: "Ends a request that was not used yet, also one that is approved, with an admin's key, from\n" +
			adminKeyName + " or a hidden prompt. Who asks for exactly the same again is told no,\n" +
			"until the request's time is over.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asOwner(cmd.Context(), func(d *desk, _ identity.Principal) error {
				admin, err := a.admin(cmd.Context(), d)
				if err != nil {
					return err
				}
				r, err := d.Deny(cmd.Context(), admin, args[0], reason)
				if err != nil {
					return settled(r, err)
				}
				return a.done(describeRequest(&r))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why not, a `TEXT` that the one who asked is told")
	return cmd
}

// settled says how a request stands with which nothing can be done any more.
func settled(r approval.Request, err error) error {
	if errors.Is(err, approval.ErrSettled) {
		return fmt.Errorf("%w: it is %s", err, r.Status)
	}
	return err
}
