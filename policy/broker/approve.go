package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// plea is what a request for a guarded secret says beside its path: an approval
// is good for exactly that.
type plea struct {
	terms   []approval.Detail // shown to those who decide
	value   secret.Value      // one that it brings along, never shown
	cleared vault.Tier        // up to which it has been approved already, "" not at all
	closed  bool              // nobody is asked
	lowers  bool              // the tier becomes a lower one, by which the value opens
}

// clear lets a request for a guarded secret pass once people have approved this
// very request; passing uses that up, in the transaction of what it was for.
// What a token reads was approved when it was issued. People who manage secrets
// are asked to wait for each other before they read a value or lower its tier, which
// comes to the same, and for nothing else: a quorum that one key passes by would be none.
func (b *Broker) clear(tx *sqldb.Tx, r ruling, meta vault.Metadata, e *audit.Entry, p plea) error {
	who, right := r.judge.who, r.request.Right
	reads := right == policy.Reveal || right == policy.Use
	switch {
	case meta.Tier == vault.Standard, right == policy.List, who.Kind == identity.Owner:
		return nil
	case r.judge.exempt() && !reads && !p.lowers:
		return nil
	case clearedToken(who, right, meta.Tier):
		return nil
	case p.cleared != "" && meta.Tier.Rank() <= p.cleared.Rank():
		return nil
	case p.closed:
		return approvalRequired(meta.Tier)
	}
	spec := b.spec(r, meta, p)
	used, err := b.c.Approvals.Spend(tx, spec.Requester, spec.Digest, e.Time)
	if err == nil {
		err = b.standing(tx, used, e.Time)
	}
	switch {
	case errors.Is(err, approval.ErrNone):
		return &unapproved{spec}
	case errors.Is(err, approval.ErrPending), errors.Is(err, approval.ErrDenied):
		return waits(used, e.Time)
	case err != nil:
		return err
	}
	e.Target = strings.TrimSpace(e.Target + " approved by " + used.ID)
	return nil
}

// standing refuses what somebody agreed to who is no admin any more, or by whose
// hands went what the request is now used with. The votes of the former are withdrawn
// when they are revoked; this finds a row that was put back. The latter do not vote
// ([Broker.Approve]), and who registers an agent anew ends what it has asked for;
// this counts again, when it matters.
func (b *Broker) standing(tx *sqldb.Tx, r approval.Request, now time.Time) error {
	for _, v := range r.Votes {
		if err := b.impartial(tx, r, v.Admin); errors.Is(err, approval.ErrOwnRequest) {
			return &Denied{
				Code: ApprovalRequired, Approval: r.ID, Rule: r.Rule,
				Reason: "The request " + r.ID + " was approved by the admin who registered this agent or issued this token, which does not count.",
				Next:   "Ask again when it has expired, at " + r.ExpiresAt.Format(time.RFC3339) + ", and have another admin approve that.",
			}
		} else if err != nil {
			return err
		}
		name := strings.TrimPrefix(v.Admin, string(identity.Admin)+":")
		if err := b.c.Agents.Alive(tx, identity.Principal{Kind: identity.Admin, Name: name}, now); err != nil {
			return fmt.Errorf("%w: request %s was approved by an admin who is revoked", vault.ErrCorrupt, r.ID)
		}
	}
	return nil
}

// clearedToken reports that people approved what a token reads when it was issued.
func clearedToken(who identity.Principal, right policy.Right, tier vault.Tier) bool {
	return who.Kind == identity.ScopedToken && (right == policy.Reveal || right == policy.Use) && tier.Rank() <= who.Tier.Rank()
}

// spec is the request as people decide about it. Its digest binds what is asked,
// by whom, under which rule, and where the secret may go as of now.
func (b *Broker) spec(r ruling, meta vault.Metadata, p plea) approval.Spec {
	who := r.judge.who
	details := slices.Clone(p.terms)
	if r.request.Right == policy.Use {
		for _, d := range meta.Destinations {
			details = append(details, approval.Detail{Name: "destination", Text: d.String()})
		}
	}
	terms := r.judge.rules.Approval(meta.Tier)
	parts := []string{who.ID(), string(r.request.Right), string(meta.Path), string(meta.Tier), fmt.Sprint(terms), r.Rule, r.RuleHash}
	for _, d := range details {
		parts = append(parts, d.Name, d.Text)
	}
	value := p.value.Reveal()
	defer clear(value)
	return approval.Spec{
		Digest: b.c.Approvals.Digest(value, parts...), Requester: who.ID(), Agent: agentOf(who),
		Action: r.request.Right, Path: meta.Path, Tier: meta.Tier, Details: details, Client: label(who.Client), Addr: who.Addr, Rule: r.Rule,
		Approval: terms,
	}
}

// label is what a client calls itself, as a request may carry it.
func label(client string) string {
	const most = 256
	text := audit.Quote(client)
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// agentOf is the agent behind a principal, as the log names it.
func agentOf(who identity.Principal) string {
	if who.Kind == identity.ScopedToken {
		return agentID(who.Name)
	}
	return who.ID()
}

func agentID(name string) string {
	return identity.Principal{Kind: identity.Agent, Name: name}.ID()
}

// unapproved ends a transaction that may not be carried out before people were
// asked.
type unapproved struct{ spec approval.Spec }

func (*unapproved) Error() string { return "approval required" }

// ask puts a request before those who approve, or finds it there, and says so.
// The request and its leaf are one transaction; who asks again for what waits
// already stands on record as refused.
func (b *Broker) ask(ctx context.Context, who identity.Principal, refused *audit.Entry, spec approval.Spec) error {
	var asked approval.Request
	created := false
	e := b.entry(who, "approval.requested")
	e.Path, e.Rule, e.RuleHash = spec.Path, refused.Rule, refused.RuleHash
	err := b.update(ctx, func(tx *sqldb.Tx) (err error) {
		if err := b.c.Agents.Alive(tx, who, e.Time); err != nil {
			return err
		}
		if asked, created, err = b.c.Approvals.Ask(tx, spec, e.Time); err != nil || !created {
			return err
		}
		e.Target = asked.ID + " " + string(asked.Action)
		_, err = b.c.Audit.Append(tx, e)
		return err
	})
	if err == nil && created {
		b.seal.leaf(ctx, b)
		return waits(asked, e.Time)
	}
	if err == nil {
		err = waits(asked, e.Time)
	}
	return b.refuse(ctx, refused, err)
}

// waits says how a request stands that does not let anything pass.
func waits(r approval.Request, now time.Time) *Denied {
	switch r.Status {
	case approval.Denied:
		return &Denied{
			Code: ApprovalDenied, Approval: r.ID, Rule: r.Rule,
			Reason: "People were asked about exactly this and said no (" + r.ID + ").",
			Next:   "Do not ask again for this. Tell the person you work for.",
		}
	case approval.Pending:
		if !r.ReadyAt.IsZero() {
			return &Denied{
				Code: ApprovalRequired, Approval: r.ID, Rule: r.Rule, RetryAfter: r.ReadyAt.Sub(now),
				Reason: fmt.Sprintf("This secret is %s. The request %s is approved and waits until %s, so that it can still be stopped.", r.Tier, r.ID, r.ReadyAt.Format(time.RFC3339)),
				Next:   "Make exactly the same call again after that time.",
			}
		}
	case approval.Approved, approval.Cancelled, approval.Expired, approval.Used:
	}
	return &Denied{
		Code: ApprovalRequired, Approval: r.ID, Rule: r.Rule,
		Reason: fmt.Sprintf("This secret is %s: %s must approve this first. The request %s waits until %s.", r.Tier, people(r.Quorum), r.ID, r.ExpiresAt.Format(time.RFC3339)),
		Next:   "Tell the person you work for, who can run: coatcheck approvals approve " + r.ID + ". Then make exactly the same call again; check_approval says how it stands.",
	}
}

func people(n int) string {
	if n == 1 {
		return "one admin"
	}
	return fmt.Sprintf("%d admins", n)
}

// approvalRequired refuses where nobody is asked.
func approvalRequired(t vault.Tier) *Denied {
	return &Denied{
		Code:   ApprovalRequired,
		Reason: "This secret is " + string(t) + ": people must approve each handle, reading or change.",
		Next:   "Ask for it with get_secret, rotate_secret or set_secret, which put the request before them.",
	}
}
