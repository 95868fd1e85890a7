package broker

import (
	"context"
	"slices"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Approvals returns a page of requests, newest first: all of them for the owner
// and admins, their own for others. Errors: *[vault.InvalidError],
// [identity.ErrUnauthenticated].
func (b *Broker) Approvals(ctx context.Context, who identity.Principal, q approval.Query) (page approval.Page, err error) {
	if !manages(who) {
		q.Requester = who.ID()
	}
	now := b.now()
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, now); err != nil {
			return err
		}
		page, err = b.c.Approvals.List(tx, q, now)
		return err
	})
	return page, err
}

// Approval returns one request: any for the owner and admins, to others what
// they or, for an agent, its tokens asked for. Errors: [approval.ErrUnknown], [identity.ErrUnauthenticated].
func (b *Broker) Approval(ctx context.Context, who identity.Principal, id string) (r approval.Request, err error) {
	now := b.now()
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, now); err != nil {
			return err
		}
		if r, err = b.c.Approvals.Get(tx, id, now); err == nil && !manages(who) && r.Requester != who.ID() && r.Agent != who.ID() {
			err = approval.ErrUnknown
		}
		return err
	})
	if err != nil {
		return approval.Request{}, err
	}
	return r, nil
}

// Approve gives an admin's vote. With the last one that is needed the request
// passes, once its delay is over. Who registered the agent that asks, or issued the
// token that does, has had the credential in its hands, and could be the one who
// asks: such a vote is refused here, and does not count when the approval is used
// ([Broker.standing]). Errors: [approval.ErrUnknown], [approval.ErrOwnRequest],
// [approval.ErrVoted], [approval.ErrSettled], *[Denied].
func (b *Broker) Approve(ctx context.Context, who identity.Principal, id, reason string) (approval.Request, error) {
	return b.vote(ctx, who, id, "approval.granted", func(tx *sqldb.Tx, e *audit.Entry) (approval.Request, error) {
		r, err := b.c.Approvals.Get(tx, id, e.Time)
		if err == nil {
			err = b.impartial(tx, r, who.ID())
		}
		if err != nil {
			return r, err
		}
		r, err = b.c.Approvals.Approve(tx, id, who.ID(), reason, e.Time)
		if err == nil && r.ReadyAt.IsZero() {
			e.Event = "approval.voted" // others must follow
		}
		return r, err
	})
}

// impartial refuses the vote of an admin who has had in its hands what a request
// was made with. Errors: [approval.ErrOwnRequest], [vault.ErrCorrupt].
func (b *Broker) impartial(tx *sqldb.Tx, r approval.Request, admin string) error {
	sponsors, err := b.c.Agents.Sponsors(tx, r.Requester)
	if err == nil && slices.Contains(sponsors, admin) {
		err = approval.ErrOwnRequest
	}
	return err
}

// Deny ends a request, also while its delay runs, and also for who registered the
// agent that asks: no opens nothing. Errors: those of [Broker.Approve] but for
// ErrVoted.
func (b *Broker) Deny(ctx context.Context, who identity.Principal, id, reason string) (approval.Request, error) {
	return b.vote(ctx, who, id, "approval.denied", func(tx *sqldb.Tx, e *audit.Entry) (approval.Request, error) {
		return b.c.Approvals.Deny(tx, id, who.ID(), reason, e.Time)
	})
}

// vote is for admins alone: the owner's key lies in the home, where whoever asks
// may have it too.
func (b *Broker) vote(ctx context.Context, who identity.Principal, id, event string, act func(*sqldb.Tx, *audit.Entry) (approval.Request, error)) (r approval.Request, err error) {
	e := b.entry(who, event)
	e.Target = requestID(id)
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if who.Kind != identity.Admin || !manages(who) {
			return &Denied{
				Code: OwnerOnly, Reason: "Only an admin approves or denies, with a key that is not kept in the home.",
				Next: "Ask the owner to make one: coatcheck admin add NAME",
			}
		}
		r, err = act(tx, &e)
		e.Path = r.Path
		return err
	})
	return r, err
}

// CancelApproval takes back one's own request. Errors: [approval.ErrUnknown],
// [approval.ErrSettled].
func (b *Broker) CancelApproval(ctx context.Context, who identity.Principal, id string) (r approval.Request, err error) {
	e := b.entry(who, "approval.cancelled")
	e.Target = requestID(id)
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		r, err = b.c.Approvals.Cancel(tx, id, who.ID(), e.Time)
		e.Path = r.Path
		return err
	})
	return r, err
}

// requestID keeps other text than an id out of the record.
func requestID(id string) string {
	if !approval.IsID(id) {
		return ""
	}
	return id
}

// ExpireApprovals puts on record which requests nobody decided in time. A desk
// that has nothing else to do calls it now and then; it writes only if there are
// any. Otherwise it happens with the next checkpoint.
func (b *Broker) ExpireApprovals(ctx context.Context) error {
	overdue := false
	err := b.c.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		overdue, err = b.c.Approvals.Overdue(tx, b.now())
		return err
	})
	if err != nil || !overdue {
		return err
	}
	return b.expireApprovals(ctx)
}

func (b *Broker) expireApprovals(ctx context.Context) error {
	now, told := b.now(), 0
	err := b.update(ctx, func(tx *sqldb.Tx) error {
		due, err := b.c.Approvals.Due(tx, now, 100)
		if err != nil {
			return err
		}
		told = len(due)
		for _, r := range due {
			e := audit.Entry{Time: now, Event: "approval.expired", Actor: "coatcheck", Outcome: audit.OK, Path: r.Path, Target: r.ID + " " + string(r.Action)}
			if _, err := b.c.Audit.Append(tx, e); err != nil {
				return err
			}
		}
		_, err = b.c.Approvals.Purge(tx, now)
		return err
	})
	for range told {
		b.seal.leaf(ctx, b)
	}
	return err
}
