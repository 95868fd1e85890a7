package identity_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestKnownRowsDie: writes that follow each other ask the database once for who
// they are for, and yet whatever ends an agent or a token ends it for the very next
// one: in the same transaction, by the same process, and by another one.
func TestKnownRowsDie(t *testing.T) {
	ends := map[string]struct {
		do   func(tx *sqldb.Tx, s *identity.Store, token string) error
		both bool // the agent ends too
	}{
		"token revoked": {do: func(tx *sqldb.Tx, s *identity.Store, token string) error { return s.RevokeToken(tx, token, noon) }},
		"tokens of a time to come": {do: func(tx *sqldb.Tx, s *identity.Store, _ string) error {
			_, err := s.RevokeTokensAfter(tx, noon.Add(-time.Second), noon)
			return err
		}},
		"tokens purged": {do: func(tx *sqldb.Tx, s *identity.Store, _ string) error {
			n, err := s.PurgeTokens(tx, noon.Add(24*time.Hour))
			return errors.Join(err, sure(n == 1))
		}},
		"agent revoked": {both: true, do: func(tx *sqldb.Tx, s *identity.Store, _ string) error { return s.Revoke(tx, "site", noon) }},
		"agent registered anew": {both: true, do: func(tx *sqldb.Tx, s *identity.Store, _ string) error {
			_, err := s.Add(tx, identity.NewAgent{Name: "site"}, noon)
			return errors.Join(sure(errors.Is(err, identity.ErrAgentExists)), s.Revoke(tx, "site", noon), second(s.Add(tx, identity.NewAgent{Name: "site"}, noon)))
		}},
	}
	for name, end := range ends {
		for _, by := range []string{"the same transaction", "the same process", "another process"} {
			t.Run(name+" by "+by, func(t *testing.T) {
				db, path := openAt(t)
				other := openFile(t, path)
				var site, token identity.Principal
				in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
					key := add(t, tx, s, "site", false)
					text, _ := issue(t, tx, s, ofSite(t))
					var errs [2]error
					site, errs[0] = s.ByCredential(tx, key, "", noon)
					token, errs[1] = s.ByCredential(tx, text, "", noon)
					want(t, "known", errors.Join(errs[:]...), nil)
				})
				alive := func(tx *sqldb.Tx, s *identity.Store) (ofAgent, ofToken error) {
					return s.Alive(tx, site, noon), s.Alive(tx, token, noon)
				}
				in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
					a, b := alive(tx, s)
					want(t, "alive", errors.Join(a, b), nil)
					if by == "the same transaction" {
						want(t, "the end", end.do(tx, s, token.Token), nil)
						_, b = alive(tx, s)
						want(t, "the token at once", b, identity.ErrUnauthenticated)
					}
				})
				switch by {
				case "the same process":
					in(t, db, func(tx *sqldb.Tx, s *identity.Store) { want(t, "the end", end.do(tx, s, token.Token), nil) })
				case "another process":
					in(t, other, func(tx *sqldb.Tx, s *identity.Store) { want(t, "the end", end.do(tx, s, token.Token), nil) })
				}
				in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
					a, b := alive(tx, s)
					want(t, "the token", b, identity.ErrUnauthenticated)
					if end.both {
						want(t, "the agent", a, identity.ErrUnauthenticated)
					} else {
						want(t, "the agent", a, nil)
					}
				})
			})
		}
	}
}

// TestKnownTokenIsJudged each time by what changes without a write, and by what it
// was used for.
func TestKnownTokenIsJudged(t *testing.T) {
	db := open(t)
	var who identity.Principal
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		text, _ := issue(t, tx, s, everything(t)) // 90 seconds, 10.0.0.0/8, three uses
		var err error
		who, err = s.ByCredential(tx, text, "10.1.2.3", noon)
		want(t, "known", err, nil)
		who.Addr = "10.1.2.3"
		want(t, "alive", s.Alive(tx, who, noon), nil)
		foreign, anew := who, who
		foreign.Addr = "192.0.2.1"
		want(t, "from elsewhere", s.Alive(tx, foreign, noon), identity.ErrUnauthenticated)
		anew.Name = "other"
		want(t, "of another agent", s.Alive(tx, anew, noon), identity.ErrUnauthenticated)
		want(t, "too late", s.Alive(tx, who, noon.Add(90*time.Second)), identity.ErrUnauthenticated)
		for range 3 {
			want(t, "a use", s.SpendToken(tx, who, 1, noon), nil)
		}
		want(t, "used up", s.SpendToken(tx, who, 1, noon), identity.ErrUnauthenticated)
		want(t, "used up", s.Alive(tx, who, noon), identity.ErrUnauthenticated)
	})
}

// TestKnownRowIsNotOlderThanItsEnd: what another program wrote into the file is seen.
func TestKnownRowIsNotOlderThanItsEnd(t *testing.T) {
	for _, damage := range []string{`UPDATE tokens SET scopes = 'secrets:*:*'`, `UPDATE agents SET scopes = 'secrets:*:*'`} {
		db, path := openAt(t)
		other := openFile(t, path)
		var who identity.Principal
		in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
			add(t, tx, s, "site", false)
			text, _ := issue(t, tx, s, ofSite(t))
			var err error
			who, err = s.ByCredential(tx, text, "", noon)
			want(t, "known", err, nil)
		})
		in(t, db, func(tx *sqldb.Tx, s *identity.Store) { want(t, "alive", s.Alive(tx, who, noon), nil) })
		update(t, other, func(tx *sqldb.Tx) error { return second(tx.Exec(damage)) })
		in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
			want(t, damage, s.Alive(tx, who, noon), vault.ErrCorrupt)
		})
	}
}

func ofSite(tb testing.TB) identity.TokenSpec {
	tb.Helper()
	spec := plain(tb)
	spec.Agent = "site"
	return spec
}

func second[T any](_ T, err error) error { return err }

func sure(ok bool) error {
	if !ok {
		return errors.New("it did not do what it is here for")
	}
	return nil
}
