package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// small is a small vault with something of everything in it, closed.
type small struct {
	dir     string   // the home
	version int      // of the schema
	keys    []string // of the agent web, two admins and two tokens, and of an agent and a token that each of the admins made
	tickets []string
	at      time.Time // when it was made
}

// newSmall makes a small vault by the command itself.
func newSmall(t *testing.T) *small {
	t.Helper()
	h := newHome(t)
	api := quietServer(t)
	run := func(stdin string, args ...string) string { t.Helper(); return h.must(t, 0, stdin, args...).out }
	run("value one of a", "secret", "set", "a/one", "--to", api, "--tier", "standard")
	run("value two of a", "secret", "rotate", "a/one", "--grace", "20d")
	run("value of b", "secret", "set", "b", "--to", "api.example.com", "--expires", "90d")
	run("value of c", "secret", "set", "c/d/e")
	run("", "secret", "delete", "c/d/e")
	s := &small{dir: filepath.Join(h.dir, "home"), at: time.Now()}
	s.keys = []string{trimmed(run("", "agent", "add", "web")), trimmed(run("", "admin", "add", "ada")), trimmed(run("", "admin", "add", "bob"))}
	s.keys = append(s.keys,
		trimmed(run("", "token", "issue", "--agent", "web", "--scope", "secrets:read:a/*", "--max-uses", "3")),
		trimmed(run("", "token", "issue", "--agent", "web", "--scope", "secrets:*:b", "--ttl", "2h", "--ip", "10.0.0.0/8", "--description", "for b")))
	s.keys = append(s.keys, madeByAdmins(t, h, s.keys[1:3])...)
	run("value of g", "secret", "set", "g/one", "--to", api, "--tier", "sensitive")
	run("value of g", "secret", "set", "g/two", "--to", api, "--tier", "critical")
	run("", "secret", "get", "a/one")
	run("", "secret", "get", "b")
	run("", "agent", "add", "desk", "--stdio")
	run("", "agent", "add", "gone", "--stdio")
	run("", "agent", "revoke", "gone")
	s.tickets = []string{
		trimmed(run("", "handle", "issue", "a/one", "--uses", "3", "--ttl", "24h")),
		trimmed(run("", "handle", "issue", "b", "--agent", "web", "--ttl", "1h")),
		trimmed(run("", "handle", "issue", "a/one", "--agent", "desk", "--uses", "5")),
	}
	c, err := h.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.tool("http_request", map[string]any{"url": api, "headers": map[string]any{"Authorization": "Bearer " + s.tickets[0]}}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"g/one", "g/two"} {
		no := refused{}
		if _, err := c.tool("get_secret", map[string]any{"path": path}); !errors.As(err, &no) || no.code != "approval_required" {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	db := openSQL(t, filepath.Join(s.dir, "vault.db"))
	defer db.Close() //nolint:errcheck // read only
	if err := db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&s.version); err != nil {
		t.Fatal(err)
	}
	return s
}

// madeByAdmins are the keys of an agent, and a token of web, that each admin makes
// as only a running desk lets them.
func madeByAdmins(t *testing.T, h *home, admins []string) (keys []string) {
	t.Helper()
	d := &desks{home: h, t: t, url: map[int]string{}}
	var served sync.WaitGroup
	served.Go(func() { d.keep(0) })
	defer d.end(&served)
	for d.one() == "" && !d.over.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	for i, admin := range admins {
		for path, body := range map[string]string{"/v1/agents": `{"name":"of` + strconv.Itoa(i) + `"}`, "/v1/tokens": `{"agent_id":"web","scope":"secrets:read:b"}`} {
			status, text, gone := d.ask(http.MethodPost, path, admin, body)
			var got struct {
				Key   string `json:"api_key"`
				Token string
			}
			if err := json.Unmarshal(text, &got); err != nil || gone || status != http.StatusCreated {
				t.Fatalf("%s: %d %s", path, status, text)
			}
			keys = append(keys, got.Key+got.Token)
		}
	}
	return keys
}

// copyTo copies the home, so that it can be damaged.
func (s *small) copyTo(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"vault.db", "key", "checkpoint", "policy.yaml", "config.yaml"} {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// facts is what a home answers, each answer as text. What it refuses is not in it.
type facts struct {
	mu  sync.Mutex
	set map[string]bool
}

func (f *facts) add(about string, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		text = []byte(err.Error())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set[about+": "+string(text)] = true
}

// ask opens a home as the command does and asks it for everything. The error
// says why it did not open.
func (s *small) ask(ctx context.Context, dir string) (*facts, error) {
	f := &facts{set: map[string]bool{}}
	// The schema is there already: only the number of its steps counts.
	db, err := sqldb.Open(ctx, filepath.Join(dir, "vault.db"), make([]sqldb.Migration, s.version))
	if err != nil {
		return f, err
	}
	err = s.askOpen(ctx, db, dir, f)
	return f, errors.Join(err, db.Close())
}

func (s *small) askOpen(ctx context.Context, db *sqldb.DB, dir string, f *facts) error {
	source, err := embedded.ParseKeySource(embedded.FileURI(filepath.Join(dir, "key")))
	if err != nil {
		return err
	}
	keys, err := embedded.OpenKeyring(ctx, db, source)
	if err != nil {
		return err
	}
	anchor, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	key := audit.OpenKey(db, "coatcheck.dev/"+keys.VaultID(), keys)
	log := audit.New(key, key)
	rows, err := broker.OpenRows(ctx, db, key, anchor, func() time.Time { return s.at })
	if err == nil {
		err = db.View(ctx, func(tx *sqldb.Tx) error { return log.CheckLength(tx, anchor) })
	}
	if err != nil {
		return err
	}
	if _, err := audit.Verify(ctx, db, key, anchor); err == nil {
		_ = db.View(ctx, func(tx *sqldb.Tx) error {
			records, err := log.Last(tx, audit.MaxPage)
			for _, r := range records {
				f.add(fmt.Sprintf("record %d", r.Seq), r)
			}
			return err
		})
	}
	s.askVault(ctx, embedded.New(db, keys, &embedded.Options{Now: func() time.Time { return s.at }}), f)
	// One transaction each, so that damage in one place ends one answer.
	view := func(fn func(tx *sqldb.Tx) error) { _ = db.View(ctx, fn) }
	agents, handles := identity.New(rows), handle.New(rows)
	for i, key := range s.keys {
		for _, addr := range []string{"", "10.1.2.3"} {
			view(func(tx *sqldb.Tx) error {
				who, err := agents.ByCredential(tx, key, addr, s.at)
				if err == nil {
					f.add(fmt.Sprintf("key %d from %q is of", i, addr), []any{who.ID(), who.Tier, who.Bounds.Token.Strings()})
				}
				return err
			})
		}
	}
	for kind, list := range map[string]func(*sqldb.Tx) ([]identity.Registration, error){"agent": agents.List, "admin": agents.Admins} {
		view(func(tx *sqldb.Tx) error {
			all, err := list(tx)
			for _, a := range all {
				if !a.Damaged {
					f.add(kind, a)
				}
			}
			return err
		})
	}
	view(func(tx *sqldb.Tx) error {
		all, _, err := agents.Tokens(tx, "", "", 10, s.at)
		for _, one := range all {
			if !one.Damaged {
				f.add("token", []any{one, one.Scopes.Strings()})
			}
		}
		return err
	})
	view(func(tx *sqldb.Tx) error {
		page, err := approval.New(rows).List(tx, approval.Query{Limit: 10}, s.at)
		for _, one := range page.Items {
			if !one.Damaged {
				f.add("request", one)
			}
		}
		return err
	})
	for _, name := range []string{"desk", "gone", "web"} {
		view(func(tx *sqldb.Tx) error {
			who, err := agents.ByName(tx, name)
			if err == nil {
				f.add("over stdio", who.ID())
			}
			return err
		})
	}
	for i, text := range s.tickets {
		for _, who := range []string{"agent:local", "agent:web", "agent:desk", "agent:gone"} {
			view(func(tx *sqldb.Tx) error {
				h, err := handles.Lookup(tx, who, text, s.at)
				if err == nil {
					f.add(fmt.Sprintf("handle %d for %s", i, who), h)
				}
				return err
			})
		}
	}
	long := s.at.Add(-1000 * time.Hour)
	c := clock.New(func() (time.Time, time.Duration) { return long, 0 }, rows)
	if err := db.View(ctx, c.Load); err == nil && c.Now().After(long) {
		f.add("time", c.Now())
	}
	return nil
}

func (s *small) askVault(ctx context.Context, v *embedded.Vault, f *facts) {
	for _, path := range []vault.Path{"a/one", "b", "c/d/e", "a"} {
		for version := range 4 {
			got, err := v.Get(ctx, path, version)
			if err == nil {
				f.add(fmt.Sprintf("%s version %d", path, version), []any{string(got.Value.Reveal()), got.Metadata})
			}
		}
		if all, err := v.History(ctx, path); err == nil {
			f.add("history of "+string(path), all)
		}
	}
	for _, deleted := range []bool{false, true} {
		page, err := v.List(ctx, vault.Query{Deleted: deleted})
		if err != nil {
			continue
		}
		for _, m := range page.Items {
			f.add(fmt.Sprintf("listed, deleted %v", deleted), m)
		}
	}
}

// wrong returns the answers that the whole home did not give.
func (f *facts) wrong(whole *facts) (all []string) {
	for fact := range f.set {
		if !whole.set[fact] {
			all = append(all, fact)
		}
	}
	return all
}
