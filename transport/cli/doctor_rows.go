package cli

import (
	"context"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// examineRows names the agents, admins, tokens, handles and requests that this
// desk did not write so.
func (d *desk) examineRows(ctx context.Context) (list []finding) {
	if d.rows != nil {
		return []finding{{"fail", "agents", d.rows.Error()}}
	}
	say := func(what, cure string, damaged []string, err error) {
		switch {
		case err != nil:
			list = append(list, finding{"fail", what, err.Error()})
		case len(damaged) > 0:
			list = append(list, finding{"fail", what, "damaged: " + strings.Join(damaged, " ") + "; " + cure})
		}
	}
	const anew = "revoke what is damaged and make it anew"
	owner := identity.OwnerCLI()
	registered := func(r identity.Registration) (string, bool) { return r.Name, r.Damaged }
	agents, err := d.ListAgents(ctx, owner)
	say("agents", anew, damagedOf(agents, registered), err)
	admins, err := d.ListAdmins(ctx, owner)
	say("admins", anew, damagedOf(admins, registered), err)
	tokens, err := d.tokens(ctx, owner, "")
	say("tokens", anew, damagedOf(tokens, func(t identity.Token) (string, bool) { return t.ID, t.Damaged }), err)
	handles, err := d.ListHandles(ctx, owner, "")
	say("handles", anew, damagedOf(handles, func(h handle.Handle) (string, bool) { return h.ID, h.Damaged }), err)
	requests, err := d.requests(ctx, owner, "")
	say("requests", "have an admin deny what is damaged", damagedOf(requests, func(r approval.Request) (string, bool) { return r.ID, r.Damaged }), err)
	return list
}

// damagedOf names those of some rows that are damaged.
func damagedOf[T any](rows []T, look func(T) (name string, damaged bool)) (names []string) {
	for _, row := range rows {
		if name, damaged := look(row); damaged {
			names = append(names, shown(name))
		}
	}
	return names
}
