package broker

import (
	"context"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// AddAgent registers an agent, for the owner and admins, and returns its key, or
// "" for a stdio agent. The key is not stored and cannot be shown again. An admin
// stands in the agent's registration, whatever a says, since that key was in its
// hands ([Broker.Approve]). Errors: [identity.ErrAgentExists],
// *[vault.InvalidError], *[Denied].
func (b *Broker) AddAgent(ctx context.Context, who identity.Principal, a identity.NewAgent) (key string, err error) {
	a.Registrar = adminID(who)
	err = b.managed(ctx, who, audit.Entry{Event: "agent.created", Target: a.Name}, func(tx *sqldb.Tx, now time.Time) (err error) {
		key, err = b.c.Agents.Add(tx, a, now)
		return err
	})
	if err != nil {
		return "", err
	}
	return key, nil
}

// RevokeAgent ends an agent, its key, its tokens, and their handles and requests,
// for the owner and admins. Errors: [identity.ErrUnknownAgent], *[Denied].
func (b *Broker) RevokeAgent(ctx context.Context, who identity.Principal, name string) error {
	return b.managed(ctx, who, audit.Entry{Event: "agent.revoked", Target: name}, func(tx *sqldb.Tx, now time.Time) error {
		if err := b.c.Agents.Revoke(tx, name, now); err != nil {
			return err
		}
		agent := identity.Principal{Kind: identity.Agent, Name: name}.ID()
		if _, err := b.c.Handles.RevokeAll(tx, agent, now); err != nil {
			return err
		}
		if err := b.c.Handles.RemoveUnder(tx, tokensOf(name)); err != nil {
			return err
		}
		_, err := b.c.Approvals.CancelAll(tx, agent, now)
		return err
	})
}

// ListAgents returns every agent, revoked ones included, for the owner and admins.
func (b *Broker) ListAgents(ctx context.Context, who identity.Principal) (agents []identity.Registration, err error) {
	if err := b.manager(ctx, who); err != nil {
		return nil, err
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		agents, err = b.c.Agents.List(tx)
		return err
	})
	if err == nil {
		err = b.withActivity(ctx, agents)
	}
	return agents, err
}

// AddAdmin registers an admin, for the owner alone, and returns its key, which is
// not stored and must not be kept in the home. Errors: [identity.ErrAgentExists],
// *[vault.InvalidError], *[Denied].
func (b *Broker) AddAdmin(ctx context.Context, who identity.Principal, name string) (key string, err error) {
	err = b.owned(ctx, who, audit.Entry{Event: "admin.created", Target: name}, func(tx *sqldb.Tx, now time.Time) (err error) {
		key, err = b.c.Agents.AddAdmin(tx, name, now)
		return err
	})
	if err != nil {
		return "", err
	}
	return key, nil
}

// RevokeAdmin ends an admin and takes back what it approved and nobody has used
// yet, for the owner alone. Errors: [identity.ErrUnknownAgent], *[Denied].
func (b *Broker) RevokeAdmin(ctx context.Context, who identity.Principal, name string) error {
	return b.owned(ctx, who, audit.Entry{Event: "admin.revoked", Target: name}, func(tx *sqldb.Tx, now time.Time) error {
		if err := b.c.Agents.RevokeAdmin(tx, name, now); err != nil {
			return err
		}
		admin := identity.Principal{Kind: identity.Admin, Name: name}.ID()
		if _, err := b.c.Approvals.Withdraw(tx, admin); err != nil {
			return err
		}
		_, err := b.c.Approvals.CancelAll(tx, admin, now)
		return err
	})
}

// ListAdmins returns every admin, revoked ones included, for the owner and admins.
func (b *Broker) ListAdmins(ctx context.Context, who identity.Principal) (admins []identity.Registration, err error) {
	if err := b.manager(ctx, who); err != nil {
		return nil, err
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		admins, err = b.c.Agents.Admins(tx)
		return err
	})
	return admins, err
}

// ListHandles returns the live handles of one agent, or of everybody for "",
// for the owner and admins. The handles themselves are not stored; their ids are shown.
func (b *Broker) ListHandles(ctx context.Context, who identity.Principal, agent string) (handles []handle.Handle, err error) {
	if err := b.manager(ctx, who); err != nil {
		return nil, err
	}
	holder := ""
	if agent != "" {
		holder = identity.Principal{Kind: identity.Agent, Name: agent}.ID()
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		handles, err = b.c.Handles.List(tx, holder, b.now())
		return err
	})
	return handles, err
}

// RevokeHandle ends the handle with that id, for the owner and admins. Errors:
// [handle.ErrUnknown], *[vault.InvalidError] of field "id", *[Denied].
func (b *Broker) RevokeHandle(ctx context.Context, who identity.Principal, id string) error {
	if !strings.HasPrefix(id, "h_") { // a handle itself does not belong in the record
		return &vault.InvalidError{Field: "id", Rule: "is not the id of a handle, such as h_3fZq0aB7xK; handle list shows them"}
	}
	return b.managed(ctx, who, audit.Entry{Event: "handle.revoked", Handle: id}, func(tx *sqldb.Tx, now time.Time) error {
		return b.c.Handles.Revoke(tx, id, now)
	})
}

// managed is a change of agents, admins or handles and its leaf in one transaction.
// A target that is no name stays out of the record: it may be a key.
func (b *Broker) managed(ctx context.Context, who identity.Principal, what audit.Entry, act func(*sqldb.Tx, time.Time) error) error {
	e := b.entry(who, what.Event)
	if e.Handle = what.Handle; identity.IsName(what.Target) && !b.c.Catalogue.Resembles(what.Target) {
		e.Target = what.Target
	}
	return b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if !manages(who) {
			return managersOnly()
		}
		return act(tx, e.Time)
	})
}

// owned is managed for the owner alone.
func (b *Broker) owned(ctx context.Context, who identity.Principal, what audit.Entry, act func(*sqldb.Tx, time.Time) error) error {
	return b.managed(ctx, who, what, func(tx *sqldb.Tx, now time.Time) error {
		if who.Kind != identity.Owner {
			return ownerOnly()
		}
		return act(tx, now)
	})
}
