package broker

import (
	"context"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// AddAgent registers an agent, for the owner, and returns its key, or "" for a
// stdio agent. The key is not stored and cannot be shown again. Errors:
// [identity.ErrAgentExists], *[vault.InvalidError], *[Denied].
func (b *Broker) AddAgent(ctx context.Context, who identity.Principal, a identity.NewAgent) (key string, err error) {
	err = b.managed(ctx, who, audit.Entry{Event: "agent.created", Target: a.Name}, func(tx *sqldb.Tx) (err error) {
		key, err = b.c.Agents.Add(tx, a, b.now())
		return err
	})
	if err != nil {
		return "", err
	}
	return key, nil
}

// RevokeAgent ends an agent, its key and its handles, for the owner. Errors:
// [identity.ErrUnknownAgent], *[Denied].
func (b *Broker) RevokeAgent(ctx context.Context, who identity.Principal, name string) error {
	return b.managed(ctx, who, audit.Entry{Event: "agent.revoked", Target: name}, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Revoke(tx, name, b.now()); err != nil {
			return err
		}
		_, err := b.c.Handles.RevokeAll(tx, identity.Principal{Kind: identity.Agent, Name: name}.ID(), b.now())
		return err
	})
}

// ListAgents returns every agent, revoked ones included, for the owner.
func (b *Broker) ListAgents(ctx context.Context, who identity.Principal) (agents []identity.Registration, err error) {
	if who.Kind != identity.Owner {
		return nil, ownerOnly()
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		agents, err = b.c.Agents.List(tx)
		return err
	})
	return agents, err
}

// ListHandles returns the live handles of one agent, or of everybody for "",
// for the owner. The handles themselves are not stored; their ids are shown.
func (b *Broker) ListHandles(ctx context.Context, who identity.Principal, agent string) (handles []handle.Handle, err error) {
	if who.Kind != identity.Owner {
		return nil, ownerOnly()
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

// RevokeHandle ends the handle with that id, for the owner. Errors:
// [handle.ErrUnknown], *[vault.InvalidError] of field "id", *[Denied].
func (b *Broker) RevokeHandle(ctx context.Context, who identity.Principal, id string) error {
	if !strings.HasPrefix(id, "h_") { // a handle itself does not belong in the record
		return &vault.InvalidError{Field: "id", Rule: "is not the id of a handle, such as h_3fZq0aB7xK; handle list shows them"}
	}
	return b.managed(ctx, who, audit.Entry{Event: "handle.revoked", Handle: id}, func(tx *sqldb.Tx) error {
		return b.c.Handles.Revoke(tx, id, b.now())
	})
}

// managed is a change of agents or handles and its leaf in one transaction.
func (b *Broker) managed(ctx context.Context, who identity.Principal, what audit.Entry, act func(*sqldb.Tx) error) error {
	e := b.entry(who, what.Event)
	e.Target, e.Handle = what.Target, what.Handle
	return b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if who.Kind != identity.Owner {
			return ownerOnly()
		}
		return act(tx)
	})
}
