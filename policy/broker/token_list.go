package broker

import (
	"context"
	"errors"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TokenPage is one page of tokens.
type TokenPage struct {
	Items []identity.Token
	Next  string // cursor of the next page, "" at the end
}

// ListTokens returns live tokens: of one agent, or of all for "", to the owner and
// admins; an agent sees its own. Errors: [identity.ErrUnauthenticated],
// *[vault.InvalidError] of field "cursor", *[Denied] for a token.
func (b *Broker) ListTokens(ctx context.Context, who identity.Principal, agent, after string, limit int) (page TokenPage, err error) {
	switch {
	case manages(who):
	case who.Kind == identity.Agent:
		agent = who.Name
	default:
		return page, managersOnly()
	}
	now := b.now()
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, now); err != nil {
			return err
		}
		page.Items, page.Next, err = b.c.Agents.Tokens(tx, agent, after, limit, now)
		return err
	})
	return page, err
}

// Token returns what is known of one token but its text, also when it has expired,
// is used up or revoked, as long as it is kept: any to the owner and admins, to an
// agent its own. Of a damaged one the owner and admins see its ID and Damaged, and
// nothing else. Errors: [identity.ErrUnknownToken], also for another's;
// [identity.ErrUnauthenticated].
func (b *Broker) Token(ctx context.Context, who identity.Principal, id string) (t identity.Token, err error) {
	now := b.now()
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, now); err != nil {
			return err
		}
		found, err := b.c.Agents.Token(tx, id)
		switch {
		case errors.Is(err, vault.ErrCorrupt) && manages(who):
			t = identity.Token{ID: id, Damaged: true}
			return nil
		case errors.Is(err, vault.ErrCorrupt): // nobody knows whose it is
			return identity.ErrUnknownToken
		case err == nil && !manages(who) && (who.Kind != identity.Agent || who.Name != found.Agent):
			return identity.ErrUnknownToken
		}
		t = found
		return err
	})
	return t, err
}
