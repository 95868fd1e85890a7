package identity_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var rows = rowmac.New([rowmac.KeySize]byte{1, 2, 3})

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func open(tb testing.TB) *sqldb.DB {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	return openFile(tb, filepath.Join(dir, "test.db"))
}

// in runs fn in one transaction that is kept.
func in(tb testing.TB, db *sqldb.DB, fn func(tx *sqldb.Tx, s *identity.Store)) {
	tb.Helper()
	if err := db.Update(tb.Context(), func(tx *sqldb.Tx) error { fn(tx, identity.New(rows)); return nil }); err != nil {
		tb.Fatal(err)
	}
}

func add(tb testing.TB, tx *sqldb.Tx, s *identity.Store, name string, stdio bool) string {
	tb.Helper()
	key, err := s.Add(tx, identity.NewAgent{Name: name, Stdio: stdio}, noon)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func want(tb testing.TB, what string, got, sentinel error) {
	tb.Helper()
	if !errors.Is(got, sentinel) || (got == nil) != (sentinel == nil) {
		tb.Errorf("%s: got %v, want %v", what, got, sentinel)
	}
}

func TestAgentByKey(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		a, b := add(t, tx, s, "Claude_1-x", false), add(t, tx, s, "other", false)
		if mint.Check(identity.KeyPrefix, a) != nil || a == b {
			t.Errorf("key %s", a)
		}
		who, err := s.ByCredential(tx, a, "", noon)
		if err != nil || who.Kind != identity.Agent || who.Name != "Claude_1-x" || who.Stdio || who.ID() != "agent:Claude_1-x" {
			t.Errorf("%+v %v", who, err)
		}
		want(t, "alive", s.Alive(tx, who, noon), nil)
		who.Door = policy.DoorREST
		if got := who.Subject(); got != (policy.Subject{Agent: "Claude_1-x", Door: policy.DoorREST}) {
			t.Errorf("subject %+v", got)
		}
	})
}

func TestEveryWrongKeyLooksTheSame(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		key, revoked := add(t, tx, s, "a", false), add(t, tx, s, "b", false)
		add(t, tx, s, "stdio", true)
		want(t, "revoke", s.Revoke(tx, "b", noon), nil)
		hash := mint.Hash(key)
		for name, wrong := range map[string]string{
			"empty": "", "prefix": identity.KeyPrefix, "mistyped": key[:len(key)-1] + "!", "revoked": revoked, "the hash": string(hash[:]),
			"zero hash": string(make([]byte, 32)), "name": "a", "stdio agent's name": "stdio", "long": strings.Repeat("x", 1<<20),
			"SQL": "' OR 1=1 --", "space after": key + " ", "other case": strings.ToUpper(key),
		} {
			who, err := s.ByCredential(tx, wrong, "", noon)
			if who != (identity.Principal{}) || err == nil || err.Error() != identity.ErrUnauthenticated.Error() {
				t.Errorf("%s: %+v %v", name, who, err)
			}
		}
	})
}

// TestAnyPrefixIsAccepted: a key brought from elsewhere is found by its hash.
func TestAnyPrefixIsAccepted(t *testing.T) {
	for _, key := range []string{"ask_live_0123456789", "ass_admin_0123456789", "ast_tok_0123456789", "ast_agent_0123456789", "0123456789"} {
		in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
			add(t, tx, s, "a", false)
			hash := mint.Hash(key)
			if _, err := tx.Exec("UPDATE agents SET key_hash = ?, mac = x''", hash[:]); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Adopt(tx); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if who, err := s.ByCredential(tx, key, "", noon); err != nil || who.Name != "a" || who.Kind != identity.Agent {
				t.Errorf("%s: %+v %v", key, who, err)
			}
		})
	}
}

func TestStdioAgents(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		if key := add(t, tx, s, "desk", true); key != "" {
			t.Error("a stdio agent got a key")
		}
		add(t, tx, s, "keyed", false)
		who, err := s.ByName(tx, "desk")
		if err != nil || !who.Stdio || who.ID() != "agent:desk" || who.Door != policy.DoorMCP {
			t.Errorf("%+v %v", who, err)
		}
		want(t, "alive", s.Alive(tx, who, noon), nil)
		for _, name := range []string{"keyed", "nobody", "", "owner"} {
			_, err := s.ByName(tx, name)
			want(t, name, err, identity.ErrUnauthenticated)
		}
		if who, err := s.ByName(tx, identity.Local); err != nil || who != identity.LocalStdio() {
			t.Errorf("%+v %v", who, err)
		}
	})
}

func TestNames(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		for _, name := range []string{"", "a b", "a/b", "@stdio", "*", "é", "a\n", "local", "owner", "Local", "OWNER", strings.Repeat("a", 65)} {
			_, err := s.Add(tx, identity.NewAgent{Name: name}, noon)
			var bad *vault.InvalidError
			if !errors.As(err, &bad) || bad.Field != "name" || name != "" && strings.Contains(err.Error(), name) && len(name) > 1 {
				t.Errorf("%q: %v", name, err)
			}
		}
		for _, name := range []string{"a", "A", "0", "_-", strings.Repeat("a", 64)} {
			_, err := s.Add(tx, identity.NewAgent{Name: name}, noon)
			want(t, name, err, nil)
			_, err = s.Add(tx, identity.NewAgent{Name: name, Stdio: true}, noon)
			want(t, name+" again", err, identity.ErrAgentExists)
		}
	})
}

// TestRevocationHoldsAtOnce, also for sessions that are open, and also when
// the name is given out again.
func TestRevocationHoldsAtOnce(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		key := add(t, tx, s, "a", false)
		add(t, tx, s, "b", true)
		byKey, _ := s.ByCredential(tx, key, "", noon)
		byName, _ := s.ByName(tx, "b")
		for _, name := range []string{"a", "b"} {
			want(t, "revoke", s.Revoke(tx, name, noon), nil)
			want(t, "revoke again", s.Revoke(tx, name, noon), identity.ErrUnknownAgent)
		}
		for again := range 2 {
			_, err := s.ByCredential(tx, key, "", noon)
			want(t, "old key", err, identity.ErrUnauthenticated)
			want(t, "open session", s.Alive(tx, byKey, noon), identity.ErrUnauthenticated)
			want(t, "open stdio session", s.Alive(tx, byName, noon), identity.ErrUnauthenticated)
			if again == 0 {
				if fresh := add(t, tx, s, "a", false); fresh == key {
					t.Error("the same key again")
				}
				add(t, tx, s, "b", true)
			}
		}
		want(t, "unknown", s.Revoke(tx, "nobody", noon), identity.ErrUnknownAgent)
	})
}

func TestAliveWithoutRegistration(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "a", false)
		for name, tc := range map[string]struct {
			who  identity.Principal
			want error
		}{
			"owner":          {identity.OwnerCLI(), nil},
			"local":          {identity.LocalStdio(), nil},
			"nobody":         {identity.Principal{}, identity.ErrUnauthenticated},
			"admin":          {identity.Principal{Kind: identity.Admin, Name: "a"}, identity.ErrUnauthenticated},
			"unregistered":   {identity.Principal{Kind: identity.Agent, Name: "x"}, identity.ErrUnauthenticated},
			"local over net": {identity.Principal{Kind: identity.Agent, Name: identity.Local}, identity.ErrUnauthenticated},
			"agent owner":    {identity.Principal{Kind: identity.Agent, Name: "owner"}, identity.ErrUnauthenticated},
		} {
			want(t, name, s.Alive(tx, tc.who, noon), tc.want)
		}
		if id := identity.OwnerCLI().ID(); id != "owner" {
			t.Error(id)
		}
		if id := (identity.Principal{Kind: identity.Agent, Name: "owner"}).ID(); id == "owner" {
			t.Error("an agent passes for the owner")
		}
	})
}

// TestListShowsNothingOfTheKey, and neither does the database.
func TestListShowsNothingOfTheKey(t *testing.T) {
	db := open(t)
	var key string
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		key = add(t, tx, s, "b", false)
		add(t, tx, s, "a", true)
		want(t, "revoke", s.Revoke(tx, "a", noon.Add(time.Hour)), nil)
		list, err := s.List(tx)
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		if list[0] != (identity.Registration{Name: "a", Stdio: true, CreatedAt: noon, RevokedAt: noon.Add(time.Hour)}) ||
			list[1] != (identity.Registration{Name: "b", CreatedAt: noon, KeyHint: "ass_live_…"}) {
			t.Errorf("%+v", list)
		}
		var stored []byte
		if err := tx.QueryRow("SELECT key_hash FROM agents WHERE name = 'b'").Scan(&stored); err != nil || string(stored) == key || len(stored) != 32 {
			t.Errorf("stored %d bytes (%v)", len(stored), err)
		}
	})
}
