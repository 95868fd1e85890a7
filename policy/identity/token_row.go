package identity

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// tokenColumns is what [tokenRow.dest] takes, in its order.
//
//nolint:gosec // names of columns
const tokenColumns = `id, hash, agent, since, scopes, addrs, description, tier, approval, created_at, expires_at, revoked_at, max_uses, used, issuer, mac`

// usable is the condition under which [tokenRow.judge] finds no fault but an
// address. Its parameters are now and now plus maxSkew.
const usable = `revoked_at = 0 AND expires_at > ? AND created_at <= ? AND (max_uses = 0 OR used < max_uses)`

func usableArgs(now time.Time) []any {
	return []any{sqldb.Micros(now), sqldb.Micros(now.Add(maxSkew))}
}

type tokenRow struct {
	id                                         string
	hash                                       []byte
	agent                                      string
	since                                      int64 // registration of the agent
	scopes, addrs, description, tier, approval string
	created, expires, revoked, maxUses, used   int64
	issuer                                     string // id of the admin who issued it; "": no admin did
	mac                                        []byte
}

func (r *tokenRow) dest() []any {
	return []any{
		&r.id, &r.hash, &r.agent, &r.since, &r.scopes, &r.addrs, &r.description, &r.tier, &r.approval,
		&r.created, &r.expires, &r.revoked, &r.maxUses, &r.used, &r.issuer, &r.mac,
	}
}

// fields leaves out an issuer that is not there, as rows from before there was one
// do: a row with one more column is another message (package rowmac).
func (r *tokenRow) fields() rowmac.Fields {
	f := rowmac.Row("tokens").Text(r.id).Bytes(r.hash).Text(r.agent).Int(r.since).Text(r.scopes).Text(r.addrs).Text(r.description).
		Text(r.tier).Text(r.approval).Int(r.created).Int(r.expires).Int(r.revoked).Int(r.maxUses).Int(r.used)
	if r.issuer != "" {
		f = f.Text(r.issuer)
	}
	return f
}

func (s *Store) checkToken(r *tokenRow) error {
	if !s.rows.Check(r.fields(), r.mac) {
		return rowmac.Damaged("token", r.id)
	}
	return nil
}

// judge tells whether a token that checks may be used now from an address.
func (r *tokenRow) judge(addr string, now time.Time) error {
	live := r.revoked == 0 && sqldb.Micros(now) < r.expires && r.created <= sqldb.Micros(now.Add(maxSkew))
	if !live || r.maxUses != 0 && r.used >= r.maxUses || !fromThere(r.addrs, addr) {
		return ErrUnauthenticated
	}
	return nil
}

func (r *tokenRow) token() Token {
	return Token{
		ID: r.id, Agent: r.agent, Scopes: Scopes{r.scopes}, Addrs: addrsOf(r.addrs), Description: r.description,
		Tier: vault.Tier(r.tier), Approval: r.approval, Issuer: r.issuer,
		CreatedAt: sqldb.Time(r.created), ExpiresAt: sqldb.Time(r.expires), RevokedAt: sqldb.Time(r.revoked),
		MaxUses: int(r.maxUses), Used: int(r.used),
	}
}

func (s *Store) insertToken(tx *sqldb.Tx, r *tokenRow) error {
	_, err := tx.Exec(`INSERT INTO tokens (`+tokenColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.id, r.hash, r.agent, r.since, r.scopes, r.addrs, r.description, r.tier, r.approval,
		r.created, r.expires, r.revoked, r.maxUses, r.used, r.issuer, s.rows.Sum(r.fields()))
	return err
}

// updateToken writes the two columns that ever change, on the condition that
// nobody has counted a use since the row was read: where a transaction does not
// hold the write lock from its start, that is [vault.ErrBusy].
func (s *Store) updateToken(tx *sqldb.Tx, r *tokenRow, used int64) error {
	delete(tx.Shared(), tokenInTx(r.id))
	n, err := tx.Exec(`UPDATE tokens SET used = ?, revoked_at = ?, mac = ? WHERE id = ? AND used = ?`,
		r.used, r.revoked, s.rows.Sum(r.fields()), r.id, used)
	if err == nil && n != 1 {
		err = vault.ErrBusy
	}
	return err
}

// tokensWhere reads the rows that fit a condition, checked or not. A row that
// does not read has its id and nothing else.
func tokensWhere(tx *sqldb.Tx, where string, args ...any) (found []tokenRow, err error) {
	err = tx.Query(`SELECT `+tokenColumns+` FROM tokens WHERE `+where, args, func(scan func(...any) error) error {
		var r tokenRow
		err := scan(r.dest()...)
		if errors.Is(err, vault.ErrCorrupt) {
			r, err = tokenRow{id: r.id}, nil
		}
		found = append(found, r)
		return err
	})
	return found, err
}
