package mcp_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
	"github.com/coatcheck-dev/coatcheck/vault"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/sessions")

// story is a broker of few words that always says the same.
type story struct{ tools.Broker }

func (story) Issue(_ context.Context, _ identity.Principal, r broker.IssueRequest) (broker.Ticket, error) {
	if r.Path != "production/openai/api-key" {
		return broker.Ticket{}, vault.ErrNotFound
	}
	to, err := vault.ParseDestination("https://api.openai.com/v1/*", vault.Bearer)
	return broker.Ticket{
		Text: "ash_0123456789abcdefghijklmnopqr", ID: "h_0123456789", ExpiresAt: time.Date(2026, 7, 28, 12, 15, 0, 0, time.UTC),
		Metadata:     vault.Metadata{Path: r.Path, Type: vault.APIKey, Tier: vault.Standard, Version: 1},
		Destinations: []vault.Destination{to}, Uses: r.Uses,
	}, err
}

func (story) List(context.Context, identity.Principal, broker.ListRequest) (vault.Page, error) {
	return vault.Page{Items: []vault.Metadata{{
		Path: "production/openai/api-key", Type: vault.APIKey, Tier: vault.Sensitive, Version: 1, UpdatedAt: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
	}}}, nil
}

func (story) Redacted(context.Context, identity.Principal, vault.Path) (broker.Redacted, error) {
	return broker.Redacted{}, &broker.Denied{Code: broker.PolicyDenied, Reason: "No rule allows this.", Next: "Ask the owner."}
}

func (story) Rotate(context.Context, identity.Principal, broker.RotateRequest) (broker.Rotated, error) {
	return broker.Rotated{}, handle.ErrExpired
}

func (story) Set(_ context.Context, _ identity.Principal, r broker.SetRequest) (broker.Stored, error) {
	if !r.Value.Given() {
		return broker.Stored{Shown: true, Metadata: vault.Metadata{Path: r.Path}, Next: "Nothing was stored. Ask the owner."}, nil
	}
	return broker.Stored{
		Done: true, Shown: true, Created: true, Next: "It cannot be used yet.",
		Metadata: vault.Metadata{Path: r.Path, Type: vault.Custom, Tier: vault.Standard, Version: 1},
	}, nil
}

func (story) Delete(_ context.Context, _ identity.Principal, p vault.Path, permanent bool) (broker.Deleted, error) {
	if permanent {
		return broker.Deleted{}, &broker.Denied{Code: broker.PolicyDenied, Reason: "Not for good.", Next: "Delete it without permanent."}
	}
	return broker.Deleted{Path: p, RestorableUntil: time.Date(2026, 8, 27, 12, 0, 0, 0, time.UTC)}, nil
}

// TestSessions replays each session of testdata/sessions and compares what the
// server says, line by line. Each file has a part "client" and a part "server".
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txtar")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d sessions: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "client" })
			j := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "server" })
			if i < 0 || j < 0 {
				t.Fatal("there is no client or no server part")
			}
			got := replay(t, string(archive.Files[i].Data))
			if *update {
				archive.Files[j].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := strings.Split(string(archive.Files[j].Data), "\n")
			for n, line := range strings.Split(got, "\n") {
				if n >= len(want) || line != want[n] {
					t.Fatalf("line %d differs: run go test ./transport/mcp -update and look at the difference\n%s", n+1, line)
				}
			}
		})
	}
}

// replay sends line by line and waits for the answer where one is due.
func replay(t *testing.T, script string) string {
	t.Helper()
	d := &desk{Server: mcp.NewServer(tools.All(story{}), &mcp.Options{Version: "1.2.3"})}
	w := d.serve(t.Context(), t, one)
	var said strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		w.send(line)
		var m struct{ ID any }
		if err := json.Unmarshal([]byte(line), &m); err == nil && m.ID == nil {
			continue
		}
		said.WriteString(w.read() + "\n")
	}
	rest, err := w.end()
	if err != nil || len(rest) > 0 {
		t.Errorf("%v, %q", err, rest)
	}
	return said.String()
}
