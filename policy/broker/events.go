package broker

import (
	"context"
	"slices"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// MaxEventsPage is how many events [Broker.Events] returns at most.
const MaxEventsPage = 100

// Events returns a page of the record, newest first, for the owner and admins,
// and how many events there are. Pages count from 1; a page is cut to
// [MaxEventsPage]. Errors: *[Denied].
func (b *Broker) Events(ctx context.Context, who identity.Principal, page, limit int) (events []audit.Record, total int64, err error) {
	if err := b.manager(ctx, who); err != nil {
		return nil, 0, err
	}
	limit = min(max(limit, 1), MaxEventsPage)
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		last, err := b.c.Audit.Last(tx, 1)
		if err != nil || len(last) == 0 {
			return err
		}
		total = last[0].Seq
		newest := total - int64(max(page, 1)-1)*int64(limit)
		if newest < 1 {
			return nil
		}
		oldest := max(newest-int64(limit), 0)
		events, err = b.c.Audit.Tail(tx, oldest, int(newest-oldest))
		return err
	})
	slices.Reverse(events)
	return events, total, err
}

// manager refuses who neither owns nor administers this desk.
func (b *Broker) manager(ctx context.Context, who identity.Principal) error {
	if !manages(who) {
		return managersOnly()
	}
	return b.admit(ctx, who)
}
