package identity_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func update(tb testing.TB, db *sqldb.DB, fn func(tx *sqldb.Tx) error) {
	tb.Helper()
	if err := db.Update(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

func issue(tb testing.TB, tx *sqldb.Tx, s *identity.Store, spec identity.TokenSpec) (string, identity.Token) {
	tb.Helper()
	text, t, err := s.IssueToken(tx, spec, noon)
	if err != nil {
		tb.Fatal(err)
	}
	return text, t
}

// everything is a token of web that says all it can.
func everything(tb testing.TB) identity.TokenSpec {
	tb.Helper()
	addrs, err := identity.ParseAddrs([]string{"10.0.0.0/8", "2001:db8::1"})
	if err != nil {
		tb.Fatal(err)
	}
	return identity.TokenSpec{
		Agent: "web", Scopes: scopes(tb, "secrets:read:prod/*", "secrets:write:prod/a"), TTL: 90 * time.Second, MaxUses: 3,
		Addrs: addrs, Description: "Tagesabschluss", Tier: vault.Sensitive, Approval: "apr_1", Issuer: "admin:ada",
	}
}

// plain is a token of web that is taken everywhere and not counted.
func plain(tb testing.TB) identity.TokenSpec {
	tb.Helper()
	return identity.TokenSpec{Agent: "web", Scopes: scopes(tb, "secrets:read:prod/*")}
}

func TestTokenByCredential(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		_, err := s.Add(tx, identity.NewAgent{Name: "web", Namespaces: namespaces(t, "prod"), Scopes: scopes(t, "secrets:read:*")}, noon)
		want(t, "add", err, nil)
		text, token := issue(t, tx, s, everything(t))
		if mint.Check(identity.TokenPrefix, text) != nil || token.ID != mint.ID("tok_", mint.Hash(text)) {
			t.Errorf("text %s of %s", text, token.ID)
		}
		spec := everything(t)
		if token.Agent != "web" || token.Scopes != spec.Scopes || !slices.Equal(token.Addrs, spec.Addrs) || token.Description != spec.Description ||
			token.Tier != vault.Sensitive || token.Approval != "apr_1" || token.CreatedAt != noon || token.ExpiresAt != noon.Add(90*time.Second) ||
			!token.RevokedAt.IsZero() || token.MaxUses != 3 || token.Used != 0 || token.Damaged {
			t.Errorf("%+v", token)
		}
		again, err := s.Token(tx, token.ID)
		if err != nil || again.Scopes != token.Scopes || again.ExpiresAt != token.ExpiresAt || !slices.Equal(again.Addrs, token.Addrs) {
			t.Errorf("%+v, %v", again, err)
		}
		who, err := s.ByCredential(tx, text, "10.1.2.3", noon)
		if err != nil || who.Kind != identity.ScopedToken || who.Name != "web" || who.Token != token.ID || who.Tier != vault.Sensitive || who.ID() != "token:web/"+token.ID {
			t.Fatalf("%+v, %v", who, err)
		}
		if same, _ := s.ByCredential(tx, text, "10.9.9.9", noon); same != who {
			t.Error("the same token is another principal")
		}
		who.Door, who.Addr = policy.DoorREST, "10.1.2.3"
		if got := who.Subject(); got != (policy.Subject{Agent: "web", Door: policy.DoorREST, IP: "10.1.2.3"}) {
			t.Errorf("subject %+v", got)
		}
		// The agent may read only, and nothing outside of prod.
		for right, on := range map[policy.Right]map[vault.Path]bool{
			policy.Reveal: {"prod/a": true, "prod/b/c": true, "test/a": false}, policy.Set: {"prod/a": false}, policy.Token: {"prod/a": false},
		} {
			for p, allowed := range on {
				if who.Allows(right, p) != allowed {
					t.Errorf("%s on %s: %v", right, p, !allowed)
				}
			}
		}
		want(t, "alive", s.Alive(tx, who, noon), nil)
		other, _ := issue(t, tx, s, plain(t))
		second, err := s.ByCredential(tx, other, "", noon)
		if err != nil || second.SessionOwner() == who.SessionOwner() || second.Tier != vault.Standard {
			t.Errorf("%+v, %v", second, err)
		}
		if got, err := s.Token(tx, second.Token); err != nil || got.ExpiresAt != noon.Add(identity.DefaultTokenTTL) || got.Addrs != nil {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = s.Token(tx, "tok_0000000000")
		want(t, "unknown id", err, identity.ErrUnknownToken)
		_, err = s.ByCredential(tx, token.ID, "10.1.2.3", noon)
		want(t, "by id", err, identity.ErrUnauthenticated)
	})
}

// TestTheTextIsNotStored, in no column of no row.
func TestTheTextIsNotStored(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		text, token := issue(t, tx, s, everything(t))
		var row string
		want(t, "read", tx.QueryRow(`SELECT id || hex(hash) || agent || scopes || addrs || description || approval FROM tokens WHERE id = ?`, token.ID).Scan(&row), nil)
		if strings.Contains(row, strings.TrimPrefix(text, identity.TokenPrefix)) || row == "" {
			t.Error("the text is stored")
		}
	})
}

func TestTokenSpec(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		add(t, tx, s, "gone", false)
		want(t, "revoke", s.Revoke(tx, "gone", noon), nil)
		for field, specs := range map[string][]func(*identity.TokenSpec){
			"scope": {func(s *identity.TokenSpec) { s.Scopes = identity.Scopes{} }},
			"ttl": {
				func(s *identity.TokenSpec) { s.TTL = -time.Second }, func(s *identity.TokenSpec) { s.TTL = 60*time.Second - 1 },
				func(s *identity.TokenSpec) { s.TTL = 86400*time.Second + 1 },
			},
			"max_uses": {func(s *identity.TokenSpec) { s.MaxUses = -1 }, func(s *identity.TokenSpec) { s.MaxUses = identity.MaxTokenUses + 1 }},
			"tier":     {func(s *identity.TokenSpec) { s.Tier = "secret" }},
			"description": {
				func(s *identity.TokenSpec) { s.Description = strings.Repeat("x", 1025) }, func(s *identity.TokenSpec) { s.Description = "a\x07" },
			},
			"address": {
				func(s *identity.TokenSpec) { s.Addrs = make([]netip.Prefix, 1) },
				func(s *identity.TokenSpec) { s.Addrs = slices.Repeat(s.Addrs, 26) },
				func(s *identity.TokenSpec) { s.Addrs = []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/90")} },
			},
		} {
			for _, edit := range specs {
				spec := everything(t)
				edit(&spec)
				_, _, err := s.IssueToken(tx, spec, noon)
				invalid(t, field, err, field, "")
			}
		}
		for _, fits := range []time.Duration{60 * time.Second, 86400 * time.Second} {
			spec := plain(t)
			spec.TTL = fits
			if _, token := issue(t, tx, s, spec); token.ExpiresAt != noon.Add(fits) {
				t.Errorf("%v: %v", fits, token.ExpiresAt)
			}
		}
		most := plain(t)
		most.MaxUses = identity.MaxTokenUses
		if _, token := issue(t, tx, s, most); token.MaxUses != 1_000_000 {
			t.Errorf("%d uses", token.MaxUses)
		}
		for _, agent := range []string{"", "nobody", "gone", identity.Local, "owner"} {
			spec := plain(t)
			spec.Agent = agent
			_, _, err := s.IssueToken(tx, spec, noon)
			want(t, "for "+agent, err, identity.ErrUnknownAgent)
		}
	})
}

// TestRefusedTokens: a token that is no longer good looks the same whatever the
// reason, at the door, in an open session and when it is spent.
func TestRefusedTokens(t *testing.T) {
	for name, test := range map[string]struct {
		spend func(tx *sqldb.Tx, s *identity.Store, who *identity.Principal) error
		addr  string
		after time.Duration
	}{
		"expired":              {after: time.Hour},
		"long expired":         {after: 100 * 24 * time.Hour},
		"before it was made":   {after: -5*time.Minute - time.Microsecond},
		"foreign address":      {addr: "192.0.2.1"},
		"no address":           {addr: "-"},
		"address that is none": {addr: "10.0.0.1:80"},
		"revoked": {spend: func(tx *sqldb.Tx, s *identity.Store, who *identity.Principal) error {
			return s.RevokeToken(tx, who.Token, noon)
		}},
		"revoked with all": {spend: func(tx *sqldb.Tx, s *identity.Store, _ *identity.Principal) error {
			n, err := s.RevokeTokens(tx, "web", noon)
			if n != 1 {
				t.Errorf("%d revoked", n)
			}
			return err
		}},
		"agent revoked": {spend: func(tx *sqldb.Tx, s *identity.Store, _ *identity.Principal) error { return s.Revoke(tx, "web", noon) }},
		"agent anew": {spend: func(tx *sqldb.Tx, s *identity.Store, _ *identity.Principal) error {
			if err := s.Revoke(tx, "web", noon); err != nil {
				return err
			}
			_, err := s.Add(tx, identity.NewAgent{Name: "web"}, noon)
			return err
		}},
		"agent's row gone": {spend: func(tx *sqldb.Tx, _ *identity.Store, _ *identity.Principal) error {
			_, err := tx.Exec(`DELETE FROM agents WHERE name = 'web'`)
			return err
		}},
		"exhausted": {spend: func(tx *sqldb.Tx, s *identity.Store, who *identity.Principal) error {
			for range 3 {
				if err := s.SpendToken(tx, *who, 1, noon); err != nil {
					return err
				}
			}
			return nil
		}},
		"purged": {spend: func(tx *sqldb.Tx, s *identity.Store, _ *identity.Principal) error {
			_, err := s.PurgeTokens(tx, noon.Add(time.Hour+identity.KeepTokens))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
				add(t, tx, s, "web", false)
				spec := everything(t)
				spec.TTL = time.Hour
				text, _ := issue(t, tx, s, spec)
				who, err := s.ByCredential(tx, text, "10.0.0.1", noon)
				want(t, "before", err, nil)
				who.Addr = "10.0.0.1"
				if test.spend != nil {
					want(t, "make it so", test.spend(tx, s, &who), nil)
				}
				if test.addr != "" {
					who.Addr = strings.TrimPrefix(test.addr, "-")
				}
				now := noon.Add(test.after)
				got, err := s.ByCredential(tx, text, who.Addr, now)
				if got != (identity.Principal{}) || err == nil || err.Error() != identity.ErrUnauthenticated.Error() {
					t.Errorf("let in: %+v, %v", got, err)
				}
				want(t, "alive", s.Alive(tx, who, now), identity.ErrUnauthenticated)
				want(t, "spend", s.SpendToken(tx, who, 1, now), identity.ErrUnauthenticated)
			})
		})
	}
}

// TestTokenClock: a clock that goes back lengthens nothing beyond the skew that is
// allowed, one that went ahead and comes back loses nothing, and what was issued
// under a clock that was wrong never becomes good again.
func TestTokenClock(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		text, _ := issue(t, tx, s, plain(t))
		good := func(text string, at time.Time) bool {
			_, err := s.ByCredential(tx, text, "", at)
			return err == nil
		}
		for after, want := range map[time.Duration]bool{
			0: true, time.Hour - time.Microsecond: true, time.Hour: false, -5 * time.Minute: true, -6 * time.Minute: false,
		} {
			if good(text, noon.Add(after)) != want {
				t.Errorf("after %v: %v", after, !want)
			}
		}
		n, err := s.PurgeTokens(tx, noon.Add(time.Hour+identity.KeepTokens-time.Microsecond))
		if n != 0 || err != nil || !good(text, noon) {
			t.Errorf("%d purged by a clock ahead for an hour, %v", n, err)
		}
		ahead, _, err := s.IssueToken(tx, plain(t), noon.Add(30*24*time.Hour))
		want(t, "issue ahead", err, nil)
		if good(ahead, noon) || !good(ahead, noon.Add(30*24*time.Hour)) {
			t.Error("issued ahead")
		}
		n, err = s.RevokeTokensAfter(tx, noon, noon)
		if n != 1 || err != nil || good(ahead, noon.Add(30*24*time.Hour)) || !good(text, noon) {
			t.Errorf("%d revoked, %v", n, err)
		}
		n, err = s.PurgeTokens(tx, noon.Add(time.Hour+identity.KeepTokens))
		if n != 1 || err != nil {
			t.Errorf("%d purged, %v", n, err)
		}
	})
}

func TestRevokeToken(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		add(t, tx, s, "other", false)
		_, a := issue(t, tx, s, plain(t))
		_, b := issue(t, tx, s, plain(t))
		spec := plain(t)
		spec.Agent = "other"
		text, _ := issue(t, tx, s, spec)
		want(t, "revoke", s.RevokeToken(tx, a.ID, noon), nil)
		want(t, "again", s.RevokeToken(tx, a.ID, noon.Add(time.Hour)), nil)
		if got, err := s.Token(tx, a.ID); err != nil || got.RevokedAt != noon {
			t.Errorf("%+v, %v", got, err)
		}
		want(t, "unknown", s.RevokeToken(tx, "tok_nobodys", noon), identity.ErrUnknownToken)
		want(t, "agent", s.Revoke(tx, "web", noon.Add(time.Minute)), nil)
		if got, err := s.Token(tx, b.ID); err != nil || got.RevokedAt != noon.Add(time.Minute) {
			t.Errorf("%+v, %v", got, err)
		}
		_, err := s.ByCredential(tx, text, "", noon)
		want(t, "another agent's", err, nil)
	})
}

// TestTooManyTokens: an agent that has as many as it may is refused the next one,
// after what can no longer be used has gone; others are not touched.
func TestTooManyTokens(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		add(t, tx, s, "other", false)
		_, first := issue(t, tx, s, plain(t))
		fill := func(n int) {
			exec(t, tx, `DELETE FROM tokens WHERE id LIKE 'fill%'`)
			_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
				INSERT INTO tokens SELECT 'fill' || i, hash, agent, since, scopes, addrs, description, tier, approval, created_at, expires_at, revoked_at, max_uses, used, mac, issuer
				FROM tokens, n WHERE id = ?`, n, first.ID)
			want(t, "fill", err, nil)
		}
		fill(identity.MaxTokens - 2)
		_, _, err := s.IssueToken(tx, plain(t), noon)
		want(t, "the last", err, nil)
		_, _, err = s.IssueToken(tx, plain(t), noon)
		want(t, "one more", err, identity.ErrTooManyTokens)
		spec := plain(t)
		spec.Agent = "other"
		_, _, err = s.IssueToken(tx, spec, noon)
		want(t, "another agent", err, nil)
		_, _, err = s.IssueToken(tx, plain(t), noon.Add(2*time.Hour))
		want(t, "when they have expired", err, nil)
		for _, dead := range []string{`revoked_at = 5`, `max_uses = 2, used = 2`} {
			fill(identity.MaxTokens)
			exec(t, tx, `UPDATE tokens SET `+dead+` WHERE id = 'fill7' OR id = 'fill8'`)
			_, _, err = s.IssueToken(tx, plain(t), noon)
			want(t, "beside "+dead, err, identity.ErrTooManyTokens)
			exec(t, tx, `UPDATE tokens SET `+dead+` WHERE id LIKE 'fill9%'`)
			_, _, err = s.IssueToken(tx, plain(t), noon)
			want(t, "beside many with "+dead, err, nil)
		}
	})
}

// TestTokenPages lists everybody's and one agent's, page by page: each that can
// be used once, in one order.
func TestTokenPages(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		var all, webs []string
		for _, agent := range []string{"a-1", "b", "web"} {
			add(t, tx, s, agent, false)
			for i := range 7 {
				_, token := issue(t, tx, s, identity.TokenSpec{Agent: agent, Scopes: scopes(t, "*"), TTL: time.Hour - time.Duration(i/2)*time.Minute})
				all = append(all, token.ID)
				if agent == "web" {
					webs = append(webs, token.ID)
				}
			}
		}
		revoked, _, err := s.IssueToken(tx, plain(t), noon)
		want(t, "issue", err, nil)
		want(t, "revoke", s.RevokeToken(tx, mint.ID("tok_", mint.Hash(revoked)), noon), nil)
		short := plain(t)
		short.TTL = time.Minute
		issue(t, tx, s, short)
		now := noon.Add(2 * time.Minute)
		for agent, ids := range map[string][]string{"": all, "web": webs, "nobody": nil} {
			for limit := 1; limit < 25; limit++ {
				var got []identity.Token
				after := ""
				for pages := 0; ; pages++ {
					page, next, err := s.Tokens(tx, agent, after, limit, now)
					if err != nil || len(page) > limit || len(page) == 0 && len(got) > 0 || pages > 25 {
						t.Fatalf("%d tokens, %v", len(page), err)
					}
					got = append(got, page...)
					if after = next; next == "" {
						break
					}
				}
				for i, token := range got {
					if i > 0 && (got[i-1].Agent > token.Agent || got[i-1].Agent == token.Agent && got[i-1].ExpiresAt.Before(token.ExpiresAt)) {
						t.Errorf("out of order: %+v, %+v", got[i-1], token)
					}
					if !slices.Contains(ids, token.ID) || slices.ContainsFunc(got[:i], func(o identity.Token) bool { return o.ID == token.ID }) {
						t.Errorf("%q with %d: %s does not belong here", agent, limit, token.ID)
					}
				}
				if len(got) != len(ids) {
					t.Errorf("%q with %d: %d tokens, want %d", agent, limit, len(got), len(ids))
				}
			}
		}
		for _, bad := range []string{".", "x", "web..tok_1", "web.1", "web.zz!.tok_1", "web.00.tok_1", "1.tok_x", "web.1."} {
			_, _, err := s.Tokens(tx, "", bad, 5, now)
			invalid(t, bad, err, "cursor", bad)
		}
		_, _, err = s.Tokens(tx, "", "", 0, now)
		invalid(t, "no limit", err, "limit", "")
	})
}
