package rest

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Desk is what this door needs of a desk: the methods of [broker.Broker], which
// decide and record.
type Desk interface {
	Alive(ctx context.Context, who identity.Principal) error
	List(ctx context.Context, who identity.Principal, r broker.ListRequest) (vault.Page, error)
	Describe(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error)
	Reveal(ctx context.Context, who identity.Principal, p vault.Path, version int) (vault.Secret, error)
	RevealUnlessNamespace(ctx context.Context, who identity.Principal, p vault.Path) (vault.Secret, error)
	History(ctx context.Context, who identity.Principal, p vault.Path) ([]vault.Version, error)
	Put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (vault.Metadata, error)
	Rotate(ctx context.Context, who identity.Principal, r broker.RotateRequest) (broker.Rotated, error)
	Delete(ctx context.Context, who identity.Principal, p vault.Path, permanent bool) (broker.Deleted, error)
	Restore(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error)
	Import(ctx context.Context, who identity.Principal, r broker.ImportRequest) ([]broker.Imported, error)
	Namespaces(ctx context.Context, who identity.Principal, after string) (broker.NamespacePage, error)

	IssueToken(ctx context.Context, who identity.Principal, r broker.TokenRequest) (broker.IssuedToken, error)
	ListTokens(ctx context.Context, who identity.Principal, agent, after string, limit int) (broker.TokenPage, error)
	Token(ctx context.Context, who identity.Principal, id string) (identity.Token, error)
	RevokeToken(ctx context.Context, who identity.Principal, id string) error

	Approvals(ctx context.Context, who identity.Principal, q approval.Query) (approval.Page, error)
	Approval(ctx context.Context, who identity.Principal, id string) (approval.Request, error)
	Claim(ctx context.Context, who identity.Principal, id string) (approval.Request, *broker.IssuedToken, error)
	Approve(ctx context.Context, who identity.Principal, id, reason string) (approval.Request, error)
	Deny(ctx context.Context, who identity.Principal, id, reason string) (approval.Request, error)
	CancelApproval(ctx context.Context, who identity.Principal, id string) (approval.Request, error)

	AddAgent(ctx context.Context, who identity.Principal, a identity.NewAgent) (key string, err error)
	ListAgents(ctx context.Context, who identity.Principal) ([]identity.Registration, error)
	RevokeAgent(ctx context.Context, who identity.Principal, name string) error

	Events(ctx context.Context, who identity.Principal, page, limit int) (events []audit.Record, total int64, err error)
}

var _ Desk = (*broker.Broker)(nil)
