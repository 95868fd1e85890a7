package identity

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// IssueToken makes a token for a registered agent. text is shown once and is not
// stored. What the token may do is what its scopes and, whenever it is used, its
// agent's bounds allow. Errors: [ErrUnknownAgent], [ErrTooManyTokens],
// *[vault.InvalidError] of field scope, ttl, max_uses, address, description or
// tier; [vault.ErrCorrupt] when the agent's row is damaged.
func (s *Store) IssueToken(tx *sqldb.Tx, spec TokenSpec, now time.Time) (text string, t Token, err error) {
	if err := spec.Check(); err != nil {
		return "", Token{}, err
	}
	tier, err := vault.ParseTier(string(spec.Tier))
	if err != nil {
		return "", Token{}, err
	}
	addrs, err := addrText(spec.Addrs)
	if err != nil {
		return "", Token{}, err
	}
	agent, err := s.registered(tx, spec.Agent)
	if err == nil {
		err = s.makeRoom(tx, spec.Agent, now)
	}
	if err == nil {
		text, err = mint.New(TokenPrefix)
	}
	if err != nil {
		return "", Token{}, err
	}
	ttl := spec.TTL
	if ttl == 0 {
		ttl = DefaultTokenTTL
	}
	hash := mint.Hash(text)
	r := tokenRow{
		id: mint.ID(TokenIDPrefix, hash), hash: hash[:], agent: spec.Agent, since: agent.created,
		scopes: spec.Scopes.text, addrs: addrs, description: spec.Description, tier: string(tier), approval: spec.Approval,
		created: sqldb.Micros(now), expires: sqldb.Micros(now.Add(ttl)), maxUses: int64(spec.MaxUses),
		issuer: spec.Issuer,
	}
	if err := s.insertToken(tx, &r); err != nil {
		return "", Token{}, err
	}
	return text, r.token(), nil
}

// Registered reports whether a live agent has that name. Errors: [ErrUnknownAgent],
// [vault.ErrCorrupt].
func (s *Store) Registered(tx *sqldb.Tx, name string) error {
	_, err := s.registered(tx, name)
	return err
}

func (s *Store) registered(tx *sqldb.Tx, name string) (entry, error) {
	e, err := s.agents.live(tx, name)
	if errors.Is(err, ErrUnauthenticated) {
		err = ErrUnknownAgent
	}
	return e, err
}

// makeRoom refuses the next token of an agent that has [MaxTokens]. What can no
// longer be used goes first.
func (*Store) makeRoom(tx *sqldb.Tx, agent string, now time.Time) error {
	count := func() (n int, err error) {
		err = tx.QueryRow(`SELECT count(*) FROM tokens WHERE agent = ? AND expires_at > ?`, agent, sqldb.Micros(now)).Scan(&n)
		return n, err
	}
	n, err := count()
	if err != nil || n < MaxTokens {
		return err
	}
	changed(tx)
	if _, err = tx.Exec(`DELETE FROM tokens WHERE agent = ? AND NOT (`+usable+`)`, append([]any{agent}, usableArgs(now)...)...); err != nil {
		return err
	}
	if n, err = count(); err == nil && n >= MaxTokens {
		err = ErrTooManyTokens
	}
	return err
}

// Token returns the token of a public id, whatever its state. Errors:
// [ErrUnknownToken]; [vault.ErrCorrupt] for a row that this desk did not write.
func (s *Store) Token(tx *sqldb.Tx, id string) (Token, error) {
	var r tokenRow
	err := tx.QueryRow(`SELECT `+tokenColumns+` FROM tokens WHERE id = ?`, id).Scan(r.dest()...)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = ErrUnknownToken
	}
	if err == nil {
		err = s.checkToken(&r)
	}
	if err != nil {
		return Token{}, err
	}
	return r.token(), nil
}

// Tokens returns up to limit tokens of an agent that can be used now, by agent
// and the last to expire first; "" means everybody's. next is what to give as
// after for those that follow, "" at the end. A damaged one that looks as if it
// could be used has its ID and Damaged, and nothing else. Error:
// *[vault.InvalidError] of field "cursor" or "limit".
func (s *Store) Tokens(tx *sqldb.Tx, agent, after string, limit int, now time.Time) (tokens []Token, next string, err error) {
	if limit < 1 {
		return nil, "", &vault.InvalidError{Field: "limit", Rule: "is less than 1"}
	}
	where, args := usable, usableArgs(now)
	if agent != "" {
		where, args = where+` AND agent = ?`, append(args, agent)
	}
	if after != "" {
		c, err := parseTokenCursor(after)
		if err != nil {
			return nil, "", err
		}
		where += ` AND agent >= ? AND (agent > ? OR expires_at < ? OR (expires_at = ? AND id > ?))`
		args = append(args, c.agent, c.agent, c.expires, c.expires, c.id)
	}
	found, err := tokensWhere(tx, where+` ORDER BY agent, expires_at DESC, id LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	more := len(found) > limit
	tokens = make([]Token, 0, limit)
	for i := range found[:min(limit, len(found))] {
		r := &found[i]
		t := Token{ID: r.id, Damaged: true}
		if s.checkToken(r) == nil {
			t = r.token()
		}
		tokens = append(tokens, t)
		if more && r.hash != nil { // it was read, so that its place is known
			next = tokenCursor{r.agent, r.expires, r.id}.String()
		}
	}
	return tokens, next, nil
}

// tokenCursor is the place of a token in [Store.Tokens]: AGENT.EXPIRES.ID, the
// time in base 36.
type tokenCursor struct {
	agent   string
	expires int64
	id      string
}

func (c tokenCursor) String() string {
	return c.agent + "." + strconv.FormatInt(c.expires, 36) + "." + c.id
}

func parseTokenCursor(text string) (c tokenCursor, err error) {
	at := strings.LastIndexByte(text, '.')
	if from := strings.LastIndexByte(text[:max(at, 0)], '.'); from >= 0 {
		c.agent, c.id = text[:from], text[at+1:]
		c.expires, err = strconv.ParseInt(text[from+1:at], 36, 64)
	}
	if err != nil || c.id == "" || c.String() != text {
		return c, &vault.InvalidError{Field: "cursor", Rule: "is not one that a listing returned"}
	}
	return c, nil
}

// RevokeToken ends a token; one that is revoked already stays so since then. A
// damaged one is removed. Error: [ErrUnknownToken].
func (s *Store) RevokeToken(tx *sqldb.Tx, id string, now time.Time) error {
	found, err := tokensWhere(tx, `id = ?`, id)
	if err == nil && len(found) == 0 {
		err = ErrUnknownToken
	}
	if err != nil || found[0].revoked != 0 && s.checkToken(&found[0]) == nil {
		return err
	}
	return s.endTokens(tx, found, now)
}

// RevokeTokens ends every token of an agent and returns how many there were left
// to end. Damaged ones are removed.
func (s *Store) RevokeTokens(tx *sqldb.Tx, agent string, now time.Time) (int, error) {
	found, err := tokensWhere(tx, `agent = ? AND revoked_at = 0`, agent)
	if err != nil {
		return 0, err
	}
	return len(found), s.endTokens(tx, found, now)
}

// RevokeTokensAfter ends every token that was issued after a time, and returns
// how many there were left to end: the owner says that it has not come yet
// (package clock), and when it comes they must not be good again. Damaged ones are
// removed.
func (s *Store) RevokeTokensAfter(tx *sqldb.Tx, issued, now time.Time) (int, error) {
	found, err := tokensWhere(tx, `created_at > ? AND revoked_at = 0`, sqldb.Micros(issued))
	if err != nil {
		return 0, err
	}
	return len(found), s.endTokens(tx, found, now)
}

// endTokens revokes rows, and removes those that this desk did not write so.
func (s *Store) endTokens(tx *sqldb.Tx, found []tokenRow, now time.Time) error {
	for i := range found {
		r := &found[i]
		err := s.checkToken(r)
		if err != nil {
			changed(tx)
			_, err = tx.Exec(`DELETE FROM tokens WHERE id = ?`, r.id)
		} else {
			r.revoked = sqldb.Micros(now)
			err = s.updateToken(tx, r, r.used)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PurgeTokens removes the tokens that expired longer than [KeepTokens] ago and
// returns how many there were.
func (*Store) PurgeTokens(tx *sqldb.Tx, now time.Time) (int, error) {
	n, err := tx.Exec(`DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE expires_at <= ?)`, sqldb.Micros(now.Add(-KeepTokens)))
	if n > 0 {
		changed(tx)
	}
	return int(n), err
}
