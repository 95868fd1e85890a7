package identity

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// The statements that find whom a credential belongs to: a token and its agent in
// one, since asking costs more than finding, and an agent or an admin in one.
var (
	ofToken = `SELECT ` + each("t.", tokenColumns) + `, ` + each("a.", agentColumns) + ` FROM tokens AS t JOIN agents AS a ON a.name = t.agent WHERE t.id = ?`
	ofKey   = `SELECT 'agent', ` + agentColumns + ` FROM agents WHERE key_hash = ? UNION ALL SELECT 'admin', ` + adminColumns + ` FROM admins WHERE key_hash = ?`
)

// each puts the name of a table before each of some columns.
func each(table, columns string) string {
	return table + strings.ReplaceAll(columns, ", ", ", "+table)
}

// ByCredential returns whom an agent's key, an admin's key or a scoped token
// belongs to, whatever the prefix of a key; addr is the network address without
// port that it was shown from, "" where there is none or it is not known. The
// caller fills in door, address and client.
//
// Errors: [ErrUnauthenticated] for every credential that is not good now from
// there; [vault.ErrCorrupt] for a row that this desk did not write.
func (s *Store) ByCredential(tx *sqldb.Tx, text, addr string, now time.Time) (Principal, error) {
	want := mint.Hash(text)
	if strings.HasPrefix(text, TokenPrefix) {
		p, err := s.byToken(tx, want, addr, now)
		if !errors.Is(err, sqldb.ErrNoRows) {
			return p, err
		}
		// Keys that were made elsewhere may look like this too.
	}
	return s.byKey(tx, want)
}

// byKey costs an unknown key what it costs a known one: one statement, one
// comparison of 32 bytes and one MAC.
func (s *Store) byKey(tx *sqldb.Tx, want [32]byte) (Principal, error) {
	var kind string
	e := entry{hash: make([]byte, len(want))} // what an unknown key is compared with
	err := tx.QueryRow(ofKey, want[:], want[:]).Scan(append([]any{&kind}, e.dest()...)...)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Principal{}, err
	}
	p, of := Principal{Kind: Kind(kind), Name: e.name, since: e.created}, &s.admins
	if p.Kind != Admin {
		p.Bounds, of = e.bounds(), &s.agents
	}
	// The database has compared already; this does not rest on how it did.
	same, damaged := subtle.ConstantTimeCompare(e.hash, want[:]) == 1, of.check(&e)
	switch {
	case !same:
		return Principal{}, ErrUnauthenticated
	case damaged != nil:
		return Principal{}, damaged
	case e.revoked != 0:
		return Principal{}, ErrUnauthenticated
	}
	return p, nil
}

// byToken also returns [sqldb.ErrNoRows]. The id that a row is found by is made of
// the hash, so that whoever asks by it has the token, and another hash beside it
// is damage.
func (s *Store) byToken(tx *sqldb.Tx, want [32]byte, addr string, now time.Time) (Principal, error) {
	t, agent, err := s.token(tx, mint.ID(TokenIDPrefix, want), addr, now)
	if err == nil && subtle.ConstantTimeCompare(t.hash, want[:]) != 1 {
		err = ErrUnauthenticated
	}
	if err != nil {
		return Principal{}, err
	}
	p := Principal{
		Kind: ScopedToken, Name: agent.name, Token: t.id, Tier: vault.Tier(t.tier), Stdio: agent.hash == nil, Bounds: agent.bounds(),
		since: agent.created, uncounted: t.maxUses == 0,
	}
	p.Bounds.Token = Scopes{t.scopes}
	return p, nil
}

// token returns the token of an id and its agent, if it is good now from an
// address. Errors: [sqldb.ErrNoRows], [ErrUnauthenticated], [vault.ErrCorrupt].
func (s *Store) token(tx *sqldb.Tx, id, addr string, now time.Time) (t tokenRow, agent entry, err error) {
	if err := tx.QueryRow(ofToken, id).Scan(append(t.dest(), agent.dest()...)...); err != nil {
		return t, agent, err
	}
	if err := cmp.Or(s.checkToken(&t), s.agents.check(&agent)); err != nil {
		return t, agent, err
	}
	if agent.revoked != 0 || agent.created != t.since {
		return t, agent, ErrUnauthenticated
	}
	return t, agent, t.judge(addr, now)
}

// ByName returns the stdio agent of that name; [Local] is [LocalStdio]. An
// agent with a key is not reached by its name. Errors: those of [Store.ByCredential].
func (s *Store) ByName(tx *sqldb.Tx, name string) (Principal, error) {
	if name == Local {
		return LocalStdio(), nil
	}
	e, err := s.agents.live(tx, name)
	if err != nil {
		return Principal{}, err
	}
	if e.hash != nil {
		return Principal{}, ErrUnauthenticated
	}
	return Principal{Kind: Agent, Name: name, Stdio: true, Door: policy.DoorMCP, Bounds: e.bounds(), since: e.created}, nil
}

// Alive reports whether p may still act: nil for the owner and [Local]; for an
// agent or admin as long as the registration it was made from is not revoked; for a
// token as long as it would be let in from p's address and its agent is alive.
// Errors: those of [Store.ByCredential].
func (s *Store) Alive(tx *sqldb.Tx, p Principal, now time.Time) error {
	var e entry
	var err error
	switch {
	case p.Kind == Owner, p.Kind == Agent && p.Name == Local && p.Stdio:
		return nil
	case p.Kind == Agent:
		e, err = s.agents.live(tx, p.Name)
	case p.Kind == Admin:
		e, err = s.admins.live(tx, p.Name)
	case p.Kind == ScopedToken:
		_, err = s.tokenOf(tx, p, now)
		return err
	default:
		return ErrUnauthenticated
	}
	if err == nil && p.since != 0 && p.since != e.created {
		err = ErrUnauthenticated
	}
	return err
}

// SpendToken counts uses of the token that p came with, all of them or none; for
// others, and for a token whose uses are not counted, it does nothing. Who spends
// them all at once gets as many as there are: tx holds the write lock from its
// start (sqldb), and the count is written, with its MAC, only over the one that was
// read. Errors: those of [Store.ByCredential]; *[vault.InvalidError] of field
// "max_uses" when the token is good for some, but for fewer; [vault.ErrBusy] when
// somebody has counted meanwhile, which that lock excludes.
func (s *Store) SpendToken(tx *sqldb.Tx, p Principal, uses int, now time.Time) error {
	if p.Kind != ScopedToken || p.uncounted {
		return nil
	}
	r, err := s.tokenOf(tx, p, now)
	if err != nil || r.maxUses == 0 {
		return err
	}
	if int64(uses) > r.maxUses-r.used {
		return &vault.InvalidError{Field: "max_uses", Rule: "leaves this token fewer uses than this takes"}
	}
	r.used += int64(uses)
	return s.updateToken(tx, &r, r.used-int64(uses))
}

// tokenOf returns the row of the token that p came with, if it is good now.
func (s *Store) tokenOf(tx *sqldb.Tx, p Principal, now time.Time) (tokenRow, error) {
	if t, ok := known[tokenRow](tx, tokenInTx(p.Token)); ok {
		return t, cmp.Or(t.of(p), t.judge(p.Addr, now))
	}
	t, _, err := s.token(tx, p.Token, p.Addr, now)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = ErrUnauthenticated
	}
	if err == nil {
		tx.Shared()[tokenInTx(t.id)] = t
		err = t.of(p)
	}
	return t, err
}

// of tells whether p came with the token.
func (r *tokenRow) of(p Principal) error {
	if r.agent != p.Name || p.since != 0 && p.since != r.since {
		return ErrUnauthenticated
	}
	return nil
}
