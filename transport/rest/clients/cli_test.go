package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const assProgram = "node_modules/@agentsecretstore/cli/dist/index.js"

// ran is what the published command line said.
type ran struct {
	stdout, stderr string
	code           int
}

// command is ass as a person has it: the key and the desk come from the
// environment.
func (d *desk) command(ctx context.Context, t *testing.T, key string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := filepath.Abs(filepath.Join(clientFolder, assProgram))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, node(t), append([]string{program}, args...)...)
	cmd.Dir, cmd.Env = d.dir, d.env("ASS_API_URL="+d.url, "ASS_API_KEY="+key, "FORCE_COLOR=0")
	if key == "" { // the one that login keeps
		cmd.Env = d.env("ASS_API_URL=" + d.url)
	}
	return cmd
}

func (d *desk) ass(t *testing.T, key string, args ...string) (r ran) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := d.command(ctx, t, key, args...)
	var out, errText bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errText
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return ran{out.String(), errText.String(), cmd.ProcessState.ExitCode()}
}

// assDoes runs a command that must succeed and returns its standard output.
func (d *desk) assDoes(t *testing.T, key string, args ...string) string {
	t.Helper()
	r := d.ass(t, key, args...)
	if r.code != 0 {
		t.Fatalf("ass %v ended with %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// assTells runs a command with --json and decodes what it tells.
func (d *desk) assTells(t *testing.T, into any, key string, args ...string) {
	t.Helper()
	decode(t, []byte(d.assDoes(t, key, append(args, "--json")...)), into)
}

// assFails runs a command that must fail and returns its standard error.
func (d *desk) assFails(t *testing.T, key string, args ...string) string {
	t.Helper()
	r := d.ass(t, key, args...)
	if r.code != 1 {
		t.Fatalf("ass %v ended with %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r.stderr
}

// TestCLI is the published command line with an agent's key.
func TestCLI(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const path = "production/billing/stripe/api-key"
	value := d.value(t)

	mentions(t, d.assDoes(t, d.billing, "secrets", "set", path, value, "--type", "api_key", "--tier", "standard"), "Secret stored at", "api-key")
	same(t, "secrets get", d.assDoes(t, d.billing, "secrets", "get", path), value)
	var got struct {
		Value     string
		Version   int
		UpdatedAt string `json:"updated_at"`
	}
	d.assTells(t, &got, d.billing, "secrets", "get", path)
	if got.Value != value || got.Version != 1 || got.UpdatedAt == "" {
		t.Errorf("secrets get --json: %+v", got)
	}
	var listed listing
	d.assTells(t, &listed, d.billing, "secrets", "list", "production/billing")
	same(t, "secrets list", listed.keys(), []string{path})
	mentions(t, d.assDoes(t, d.billing, "secrets", "list", "production/billing"), path, "api_key", "standard")
	d.assTells(t, &listed, d.billing, "secrets", "list", "staging")
	same(t, "secrets list of nothing", len(listed.Items), 0)

	// A file, first to look at and then in earnest.
	file := filepath.Join(d.dir, "app.env")
	imported := d.value(t)
	if err := os.WriteFile(file, []byte("# mail\nSMTP_USER=mailer\nSMTP_PASSWORD='"+imported+"'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mentions(t, d.assDoes(t, d.billing, "env", "import", file, "--namespace", "staging/billing", "--dry-run"), "SMTP_USER", "no changes made")
	d.assTells(t, &listed, d.billing, "secrets", "list", "staging/billing")
	same(t, "secrets after the dry run", len(listed.Items), 0)
	d.assDoes(t, d.billing, "init", "--namespace", "staging/billing") // writes .assrc
	mentions(t, d.assDoes(t, d.billing, "env", "import", file), "staging/billing/SMTP_USER", "staging/billing/SMTP_PASSWORD")
	same(t, "an imported secret", d.assDoes(t, d.billing, "secrets", "get", "staging/billing/SMTP_PASSWORD"), imported)
	mentions(t, d.assDoes(t, d.billing, "env", "export", "staging/billing"), "SMTP_USER=mailer\n", "SMTP_PASSWORD="+imported+"\n")

	// Rotation without a value: the desk makes one, where the owner said how.
	mentions(t, d.assFails(t, d.billing, "secrets", "rotate", path, "--force"), "comes from a human")
	d.store(t, "production/billing/session", "--generate", "{base62:40}")
	before := d.assDoes(t, d.billing, "secrets", "get", "production/billing/session")
	mentions(t, d.assDoes(t, d.billing, "secrets", "rotate", "production/billing/session", "--force"), "Secret rotated")
	if after := d.assDoes(t, d.billing, "secrets", "get", "production/billing/session"); after == before || len(after) != 40 {
		t.Error("the rotation left the value as it was")
	}

	mentions(t, d.assDoes(t, d.billing, "secrets", "delete", path, "--force"), "Secret deleted")
	mentions(t, d.assFails(t, d.billing, "secrets", "get", path), "Not found.", "There is no such secret")
	d.assDoes(t, d.billing, "secrets", "set", path, imported, "--type", "api_key", "--tier", "standard")
	same(t, "set anew after the deletion", d.assDoes(t, d.billing, "secrets", "get", path), imported)

	// A token, in the words that this client offers.
	said := d.assDoes(t, d.billing, "tokens", "issue", "--scopes", "read:secrets,write:secrets", "--ttl", "900")
	text := said[strings.Index(said, "ast_tok_"):]
	text, _, _ = strings.Cut(text, " ")
	if status, answer := d.send(t, text, http.MethodGet, "/v1/secrets/staging/billing/SMTP_USER", ""); status != http.StatusOK || answer["value"] != "mailer" {
		t.Errorf("the token reads %d %v", status, answer)
	}
	mentions(t, d.assFails(t, d.billing, "tokens", "issue", "--scopes", "read:secrets", "--ttl", "604800"), "86400")

	// What is not an agent's to do, and what it is refused.
	for _, args := range [][]string{{"agents", "list"}, {"audit"}, {"agents", "revoke", "billing", "--force"}, {"secrets", "get", "support/helpdesk"}} {
		mentions(t, d.assFails(t, d.billing, args...), "Permission denied.")
	}
	mentions(t, d.assFails(t, "ass_live_0000000000000000000000", "secrets", "list"), "Not authenticated.")
}

// TestCLIEnvFiles: what the published command line exports is what is imported, or
// is refused by its line; so is what that command line and others read differently.
func TestCLIEnvFiles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := filepath.Join(d.dir, "app.env")
	keep := map[string]string{}
	for name, around := range map[string]string{
		"PLAIN": "%", "BLANKS": " % b ", "HASH": "% #c", "HASHED": "%#c", "QUOTES": `it's "%"`, "QUOTE": `%"`, "QUOTED": `'%'`, "ESCAPES": `\n%\\\"`, "LINES": "%\n-- x\n",
		"DOLLAR": "pa$word%$", "EQUALS": "%==", "TAB": "%\tx", "LETTERS": "é%", "DOCUMENT": `{"a":"%"}`,
	} {
		keep[name] = strings.ReplaceAll(around, "%", d.value(t))
		body, err := json.Marshal(map[string]string{"value": keep[name]})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := d.send(t, d.billing, http.MethodPut, "/v1/secrets/staging/billing/"+name, string(body)); status != http.StatusCreated {
			t.Fatalf("%s: %d %v", name, status, answer)
		}
	}
	d.assDoes(t, d.billing, "env", "export", "staging/billing", "--output", file)
	d.assDoes(t, d.billing, "env", "import", file, "--namespace", "staging/billing/copy")
	for name, value := range keep {
		if _, answer := d.send(t, d.billing, http.MethodGet, "/v1/secrets/staging/billing/copy/"+name, ""); answer["value"] != value {
			t.Errorf("%s: %q came back as %q", name, value, answer["value"])
		}
	}

	for _, line := range []string{"A=b #c", "A=b\t# c", "A= # c", "A=\"${B}\""} {
		if err := os.WriteFile(file, []byte("OTHER=x\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		mentions(t, d.assFails(t, d.billing, "env", "import", file, "--namespace", "staging/billing/refused"), "line 2")
	}
	var listed listing
	d.assTells(t, &listed, d.billing, "secrets", "list", "staging/billing/refused")
	same(t, "secrets of refused files", len(listed.Items), 0)
}

// TestCLIAdmin is the same program in the hands of a person: it signs in, and
// manages agents and what they may read.
func TestCLIAdmin(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	value := d.store(t, "production/database/url")

	var status struct {
		API struct{ Status, Version string }
	}
	d.assTells(t, &status, "", "status")
	same(t, "status", status.API.Status, "ok")
	mentions(t, d.assFails(t, "", "whoami"), "Not authenticated.")
	mentions(t, d.assFails(t, "", "login", "--key", "ass_live_0000000000000000000000"), "Invalid API key.")
	mentions(t, d.assDoes(t, "", "login", "--key", d.ada), "Logged in")
	var me struct {
		Name        string
		Plan        string
		SecretCount int `json:"secret_count"`
		AgentCount  int `json:"agent_count"`
	}
	d.assTells(t, &me, "", "whoami")
	if me.Name != "ada" || me.SecretCount != 1 || me.AgentCount != 1 || me.Plan == "" {
		t.Errorf("whoami: %+v", me)
	}
	mentions(t, d.assDoes(t, "", "whoami"), "ada")
	same(t, "secrets get", d.assDoes(t, "", "secrets", "get", "production/database/url"), value)

	key := d.createsAgent(t, "billing-worker")
	var agents struct {
		Items []struct {
			ID                string
			Name              string
			Description       string
			Active            bool
			AllowedNamespaces []string `json:"allowed_namespaces"`
			AllowedScopes     []string `json:"allowed_scopes"`
		}
	}
	find := func(name string) int {
		d.assTells(t, &agents, "", "agents", "list")
		for i, one := range agents.Items {
			if one.Name == name {
				return i
			}
		}
		t.Fatalf("agents list: %+v", agents)
		return 0
	}
	i := find("billing-worker")
	same(t, "allowed_namespaces", agents.Items[i].AllowedNamespaces, []string{"production/database", "staging"})
	same(t, "description", agents.Items[i].Description, "Sends reminders")
	if !agents.Items[i].Active || len(agents.Items[i].AllowedScopes) != 1 {
		t.Errorf("agents list: %+v", agents.Items[i])
	}
	mentions(t, d.assDoes(t, "", "agents", "list"), "billing-worker", "active")

	same(t, "what it may", d.assDoes(t, key, "secrets", "get", "production/database/url"), value)
	mentions(t, d.assFails(t, key, "secrets", "set", "staging/billing/new", "x", "--type", "custom", "--tier", "standard"), "Permission denied.") // it has read:secrets
	mentions(t, d.assDoes(t, "", "agents", "revoke", agents.Items[i].ID, "--force"), "Agent revoked")
	if agents.Items[find("billing-worker")].Active {
		t.Error("a revoked agent is listed as active")
	}
	mentions(t, d.assFails(t, key, "secrets", "get", "production/database/url"), "Not authenticated.")

	// The record tells all of it, newest first, and never the value.
	var record struct {
		Events []struct {
			ID        string
			EventType string `json:"event_type"`
			ActorID   string `json:"actor_id"`
			ActorType string `json:"actor_type"`
			CreatedAt string `json:"created_at"`
			Metadata  map[string]any
		}
		Total, Page, Limit int
	}
	d.assTells(t, &record, "", "audit", "--limit", "50")
	var told []string
	ids := map[string]bool{}
	for _, e := range record.Events {
		told = append(told, e.ActorID+" "+e.EventType)
		ids[e.ID] = true
	}
	for _, want := range []string{"admin:ada secret.read", "admin:ada agent.created", "admin:ada agent.revoked", "agent:billing-worker secret.read"} {
		if !slices.Contains(told, want) {
			t.Errorf("%q is not in the record:\n%s", want, strings.Join(told, "\n"))
		}
	}
	if len(ids) != len(record.Events) || record.Page != 1 || record.Total < len(record.Events) {
		t.Errorf("%d ids in %d events of %d", len(ids), len(record.Events), record.Total)
	}
	plain := d.assDoes(t, "", "audit")
	mentions(t, plain, "secret.read", "admin:ada")
	whole, err := json.Marshal(record)
	if err != nil || strings.Contains(string(whole)+plain, value) {
		t.Error("the record tells a value")
	}

	mentions(t, d.assDoes(t, "", "logout", "--force"), "Signed out")
	mentions(t, d.assFails(t, "", "whoami"), "Not authenticated.")
}

// TestCLIApprovals decides with the command line about what other clients ask for.
func TestCLIApprovals(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	value := d.store(t, "production/database/url", "--tier", "sensitive")
	other := d.store(t, "production/database/replica", "--tier", "sensitive")
	sdk := d.sdk(t, d.billing, nil)
	pending := func(want ...string) {
		t.Helper()
		var listed struct {
			Items []struct {
				ID         string
				Status     string
				AgentID    string `json:"agent_id"`
				AccessTier string `json:"access_tier"`
				CreatedAt  string `json:"created_at"`
			}
		}
		d.assTells(t, &listed, d.ada, "approvals", "list", "--status", "pending")
		var ids []string
		for _, one := range listed.Items {
			ids = append(ids, one.ID)
			if one.Status != "pending" || one.AgentID != "billing" || one.AccessTier != "sensitive" || one.CreatedAt == "" {
				t.Errorf("approvals list: %+v", one)
			}
		}
		same(t, "pending", ids, want)
	}

	// The SDK asks for a token, a person agrees, the SDK asks again.
	asked := sdk.fails(t, "ApprovalRequiredError", http.StatusForbidden, "getSecret", "production/database/url")
	pending(asked.ApprovalID)
	mentions(t, d.assDoes(t, d.ada, "approvals", "list"), "billing", "sensitive", "pending")
	mentions(t, d.assFails(t, d.billing, "approvals", "approve", asked.ApprovalID, "--force"), "Permission denied.")
	mentions(t, d.assDoes(t, d.ada, "approvals", "approve", asked.ApprovalID, "--force"), "Request approved")
	var got string
	sdk.does(t, &got, "getSecret", "production/database/url")
	same(t, "getSecret", got, value)

	// Or says no.
	denied := sdk.fails(t, "ApprovalRequiredError", http.StatusForbidden, "getSecret", "production/database/replica")
	pending(denied.ApprovalID)
	mentions(t, d.assDoes(t, d.ada, "approvals", "deny", denied.ApprovalID, "--reason", "Not on Fridays", "--force"), "Request denied", "Not on Fridays")
	pending()
	no := sdk.fails(t, "VaultError", http.StatusForbidden, "getSecret", "production/database/replica")
	same(t, "code", no.Code, any("APPROVAL_DENIED"))

	// The command line itself reads with its key: it is told what to wait for, and
	// no 2xx, out of which it would read a value that is not there.
	said := d.assFails(t, d.billing, "secrets", "get", "production/database/replica")
	mentions(t, said, "Permission denied.", "apr_")
	id := said[strings.Index(said, "apr_"):][:len(denied.ApprovalID)]
	pending(id)
	d.assDoes(t, d.ada, "approvals", "approve", id, "--force")
	same(t, "secrets get", d.assDoes(t, d.billing, "secrets", "get", "production/database/replica"), other)
	d.assFails(t, d.billing, "secrets", "get", "production/database/replica") // it bought one reading
	mentions(t, d.assFails(t, d.ada, "approvals", "approve", id, "--force"), "settled")
}
