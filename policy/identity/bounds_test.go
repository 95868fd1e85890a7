package identity_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func namespaces(tb testing.TB, texts ...string) identity.Namespaces {
	tb.Helper()
	n, err := identity.ParseNamespaces(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestNamespaces(t *testing.T) {
	n := namespaces(t, "production/openai/", "staging", "staging/", "production/openai")
	if !slices.Equal(n.Strings(), []string{"production/openai", "staging"}) {
		t.Errorf("%q", n.Strings())
	}
	for p, want := range map[vault.Path]bool{
		"production/openai/key": true, "production/openai/a/b": true, "staging/x": true, "staging": false, "staging2/x": false, "stagin/x": false,
		"production/openai": false, "production/key": false, "a/staging/x": false, "Staging/x": false, "": false, "/": false,
	} {
		if n.Contain(p) != want {
			t.Errorf("%q: %v", p, !want)
		}
	}
	if none := namespaces(t); !none.IsZero() || none.Contain("a/b") || none.Strings() != nil {
		t.Error("no namespaces contain something")
	}
	if n := namespaces(t, "staging/*", "production/openai/*", "staging"); !slices.Equal(n.Strings(), []string{"staging", "production/openai"}) {
		t.Errorf("with stars %q", n.Strings())
	}
	if all := namespaces(t, "staging", "*"); !all.IsZero() {
		t.Errorf("a star alone limits to %q", all.Strings())
	}
	for _, bad := range []string{"*/", "**", "/*", "a//*", "a/**", "a/*/*", "*/a", "", "/", "a//", "/a", "a//b", "..", "a/../b", "a*", "a\nb", strings.Repeat("a", 513)} {
		_, err := identity.ParseNamespaces([]string{"fine", bad})
		invalid(t, bad, err, "namespace", bad)
	}
	_, err := identity.ParseNamespaces(slices.Repeat([]string{"a"}, identity.MaxNamespaces+1))
	invalid(t, "too many", err, "namespace", "")
}

// TestBounds names what each kind of principal may do at most.
func TestBounds(t *testing.T) {
	bounds := identity.Bounds{Namespaces: namespaces(t, "prod", "test/x"), Scopes: scopes(t, "secrets:read:*", "secrets:write:prod/a/*")}
	both := bounds
	both.Token = scopes(t, "secrets:*:prod/a/*", "secrets:read:other/*")
	free := identity.Bounds{Token: both.Token}
	for name, test := range map[string]struct {
		who        identity.Principal
		allowed    string // right:path
		namespaces bool
		reach      []string
	}{
		"nobody":           {identity.Principal{}, "", false, []string{}},
		"another kind":     {identity.Principal{Kind: "root"}, "", false, []string{}},
		"owner":            {identity.Principal{Kind: identity.Owner, Bounds: bounds}, "all", true, nil},
		"admin":            {identity.Principal{Kind: identity.Admin, Bounds: bounds}, "all", true, nil},
		"agent":            {identity.Principal{Kind: identity.Agent}, "all", true, nil},
		"bounded agent":    {identity.Principal{Kind: identity.Agent, Bounds: bounds}, "use:prod/a/k use:prod/b set:prod/a/k token:prod/a/k token:prod/b use:test/x/y token:test/x/y", true, []string{"prod/", "test/x/"}},
		"token":            {identity.Principal{Kind: identity.ScopedToken, Bounds: free}, "use:prod/a/k set:prod/a/k delete:prod/a/k use:other/k", false, []string{"other/", "prod/a/"}},
		"bounded token":    {identity.Principal{Kind: identity.ScopedToken, Bounds: both}, "use:prod/a/k set:prod/a/k", false, []string{"prod/a/"}},
		"token of nothing": {identity.Principal{Kind: identity.ScopedToken}, "", false, []string{}},
		"token of all":     {identity.Principal{Kind: identity.ScopedToken, Bounds: identity.Bounds{Token: scopes(t, "*")}}, "all but token", true, nil},
		"agent of namespaces": {
			identity.Principal{Kind: identity.Agent, Bounds: identity.Bounds{Scopes: scopes(t, "namespaces:read")}},
			"token:prod/a/k token:prod/b token:test/x/y token:other/k token:prod", true,
			[]string{},
		},
		"token that lists, of an agent that does not": {
			identity.Principal{Kind: identity.ScopedToken, Bounds: identity.Bounds{Scopes: scopes(t, "secrets:read:a"), Token: scopes(t, "*")}}, "", false, []string{"a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, right := range []policy.Right{policy.Use, policy.Set, policy.Delete, policy.Token} {
				for _, p := range []vault.Path{"prod/a/k", "prod/b", "test/x/y", "other/k", "prod"} {
					want := slices.Contains(strings.Fields(test.allowed), string(right)+":"+string(p)) || test.allowed == "all" || test.allowed == "all but token" && right != policy.Token
					if got := test.who.Allows(right, p); got != want {
						t.Errorf("%s on %s: %v", right, p, got)
					}
				}
			}
			if got := test.who.AllowsNamespaces(); got != test.namespaces {
				t.Errorf("namespaces: %v", got)
			}
			if got := test.who.Reach(identity.Read); !slices.Equal(got, test.reach) || (got == nil) != (test.reach == nil) {
				t.Errorf("reach %q, want %q", got, test.reach)
			}
		})
	}
}

// TestReachOfBoundsIsWideEnough: what is allowed lies under one of the prefixes,
// and a token may do nothing that its agent may not.
func TestReachOfBoundsIsWideEnough(t *testing.T) {
	all := paths()
	rapid.Check(t, func(t *rapid.T) {
		agent := identity.Principal{Kind: identity.Agent}
		n, err := identity.ParseNamespaces(rapid.SliceOfN(rapid.StringMatching(`[ab]{1,2}(/[ab])?`), 0, 3).Draw(t, "namespaces"))
		if err != nil {
			t.Fatal(err)
		}
		agent.Bounds.Namespaces = n
		if rapid.Bool().Draw(t, "scoped") {
			agent.Bounds.Scopes = drawScopes(t, "scopes")
		}
		token := agent
		token.Kind, token.Bounds.Token = identity.ScopedToken, drawScopes(t, "token")
		for _, who := range []identity.Principal{agent, token} {
			for action, right := range map[identity.Action]policy.Right{identity.Read: policy.List, identity.Write: policy.Set, identity.Delete: policy.Delete} {
				reach := who.Reach(action)
				for _, p := range all {
					inside := reach == nil || under(p, reach)
					if who.Allows(right, p) && !inside {
						t.Errorf("%s may %s %s, outside of %q", who.Kind, right, p, reach)
					}
				}
			}
		}
		for _, p := range all {
			for _, right := range policy.Rights() {
				if token.Allows(right, p) && (!agent.Allows(right, p) || !token.Bounds.Token.Allow(right, p)) {
					t.Errorf("the token has %s on %s", right, p)
				}
			}
		}
	})
}

// TestBoundedAgents: what an agent was registered with is what it comes back as,
// by key and by name, and a name that is registered anew starts anew.
func TestBoundedAgents(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		web := identity.NewAgent{Name: "web", Description: "Grüße, für alle.", Namespaces: namespaces(t, "prod"), Scopes: scopes(t, "secrets:read:*")}
		desk := identity.NewAgent{Name: "desk", Stdio: true, Namespaces: namespaces(t, "test")}
		key, err := s.Add(tx, web, noon)
		want(t, "add", err, nil)
		_, err = s.Add(tx, desk, noon)
		want(t, "add", err, nil)
		who, err := s.ByCredential(tx, key, "", noon)
		if again, _ := s.ByCredential(tx, key, "", noon); err != nil || who != again || who.Bounds != (identity.Bounds{Namespaces: web.Namespaces, Scopes: web.Scopes}) ||
			!who.Allows(policy.Use, "prod/a") || who.Allows(policy.Set, "prod/a") || who.Allows(policy.Use, "test/a") {
			t.Errorf("%+v, %v", who, err)
		}
		byName, err := s.ByName(tx, "desk")
		if err != nil || byName.Allows(policy.Use, "prod/a") || !byName.Allows(policy.Set, "test/a") {
			t.Errorf("%+v, %v", byName, err)
		}
		list, err := s.List(tx)
		if err != nil || len(list) != 2 || list[1] != (identity.Registration{
			Name: "web", Description: web.Description, Namespaces: web.Namespaces, Scopes: web.Scopes, CreatedAt: noon, KeyHint: "ass_live_…",
		}) {
			t.Errorf("%+v, %v", list, err)
		}
		want(t, "revoke", s.Revoke(tx, "web", noon.Add(time.Second)), nil)
		want(t, "revoked", s.Alive(tx, who, noon), identity.ErrUnauthenticated)
		who, err = s.ByCredential(tx, add(t, tx, s, "web", false), "", noon)
		if err != nil || who.Bounds != (identity.Bounds{}) {
			t.Errorf("%+v, %v", who, err)
		}
	})
}

func TestDescriptions(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		for _, bad := range []string{"a\nb", "a\x1b[2J", "a\u202eb", "a\xff", "a\x00", strings.Repeat("x", identity.MaxDescription+1)} {
			_, err := s.Add(tx, identity.NewAgent{Name: "a", Description: bad}, noon)
			invalid(t, bad, err, "description", bad)
		}
		_, err := s.Add(tx, identity.NewAgent{Name: "a", Description: strings.Repeat("x", identity.MaxDescription)}, noon)
		want(t, "the longest", err, nil)
	})
}

// TestBoundsAreAuthenticated: who writes the database can neither lift bounds
// nor exchange them.
func TestBoundsAreAuthenticated(t *testing.T) {
	db := open(t)
	var key, other string
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		var err error
		key, err = s.Add(tx, identity.NewAgent{Name: "web", Description: "d", Namespaces: namespaces(t, "prod"), Scopes: scopes(t, "secrets:read:*")}, noon)
		want(t, "add", err, nil)
		other, err = s.Add(tx, identity.NewAgent{Name: "other", Description: "e", Namespaces: namespaces(t, "test"), Scopes: scopes(t, "*")}, noon)
		want(t, "add", err, nil)
	})
	for name, edit := range map[string]string{
		"no namespaces":       `UPDATE agents SET namespaces = '' WHERE name = 'web'`,
		"no scopes":           `UPDATE agents SET scopes = '' WHERE name = 'web'`,
		"no bounds":           `UPDATE agents SET namespaces = '', scopes = '' WHERE name = 'web'`,
		"nothing more":        `UPDATE agents SET namespaces = '', scopes = '', description = '' WHERE name = 'web'`,
		"wider scopes":        `UPDATE agents SET scopes = 'secrets:*:*' WHERE name = 'web'`,
		"columns exchanged":   `UPDATE agents SET description = namespaces, namespaces = description WHERE name = 'web'`,
		"border moved":        `UPDATE agents SET namespaces = '', scopes = namespaces || scopes WHERE name = 'web'`,
		"those of another":    `UPDATE agents SET namespaces = (SELECT namespaces FROM agents WHERE name = 'other') WHERE name = 'web'`,
		"no text":             `UPDATE agents SET scopes = x'00' WHERE name = 'web'`,
		"its name on another": `UPDATE agents SET name = 'web2' WHERE name = 'web'; UPDATE agents SET name = 'web', key_hash = NULL WHERE name = 'other'`,
	} {
		t.Run(name, func(t *testing.T) {
			undo := vault.ErrBusy
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				s := identity.New(rows)
				exec(t, tx, edit)
				_, err := s.ByCredential(tx, key, "", noon)
				want(t, "by key", err, vault.ErrCorrupt)
				want(t, "alive", s.Alive(tx, identity.Principal{Kind: identity.Agent, Name: "web"}, noon), vault.ErrCorrupt)
				if name != "its name on another" {
					_, err = s.ByCredential(tx, other, "", noon)
					want(t, "another", err, nil)
				}
				return undo
			})
			want(t, "transaction", err, undo)
		})
	}
}

// TestAgentsFromBeforeBounds keep their MAC, and are limited to nothing.
func TestAgentsFromBeforeBounds(t *testing.T) {
	dir := t.TempDir()
	want(t, "folder", os.Chmod(dir, 0o700), nil)
	path := filepath.Join(dir, "test.db")
	key, hash := "ass_live_from_before", mint.Hash("ass_live_from_before")
	for _, migrations := range [][]sqldb.Migration{identity.Migrations()[:2], identity.Migrations()} {
		db, err := sqldb.Open(t.Context(), path, migrations)
		if err != nil {
			t.Fatal(err)
		}
		in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
			if len(migrations) == 2 {
				mac := rows.Sum(rowmac.Row("agents").Text("old").Bytes(hash[:]).Int(5).Int(0))
				_, err := tx.Exec(`INSERT INTO agents (name, key_hash, created_at, revoked_at, mac) VALUES ('old', ?, 5, 0, ?)`, hash[:], mac)
				want(t, "insert", err, nil)
				return
			}
			who, err := s.ByCredential(tx, key, "", noon)
			if err != nil || who.Name != "old" || who.Bounds != (identity.Bounds{}) {
				t.Errorf("%+v, %v", who, err)
			}
			want(t, "revoke", s.Revoke(tx, "old", noon), nil)
			list, err := s.List(tx)
			if err != nil || len(list) != 1 || list[0].Damaged || list[0].RevokedAt != noon {
				t.Errorf("%+v, %v", list, err)
			}
		})
		want(t, "close", db.Close(), nil)
	}
}
