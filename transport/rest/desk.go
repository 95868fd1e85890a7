package rest

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Desk is what this door needs of a desk: the methods of [broker.Broker], which
// decide and record.
type Desk interface {
	List(ctx context.Context, who identity.Principal, r broker.ListRequest) (vault.Page, error)
	Describe(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error)
	Reveal(ctx context.Context, who identity.Principal, p vault.Path, version int) (vault.Secret, error)
	History(ctx context.Context, who identity.Principal, p vault.Path) ([]vault.Version, error)
	Put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (vault.Metadata, error)
	Rotate(ctx context.Context, who identity.Principal, r broker.RotateRequest) (broker.Rotated, error)
	Delete(ctx context.Context, who identity.Principal, p vault.Path, permanent bool) (broker.Deleted, error)
	Restore(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error)
	Import(ctx context.Context, who identity.Principal, r broker.ImportRequest) ([]broker.Imported, error)

	AddAgent(ctx context.Context, who identity.Principal, a identity.NewAgent) (key string, err error)
	ListAgents(ctx context.Context, who identity.Principal) ([]identity.Registration, error)
	RevokeAgent(ctx context.Context, who identity.Principal, name string) error
}

var _ Desk = (*broker.Broker)(nil)
