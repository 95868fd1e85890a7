package clients_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
)

// toolResult is the result of one of the published server's tools: the text is
// JSON.
type toolResult struct {
	IsError bool
	Content []struct{ Type, Text string }
}

// The error codes of the protocol that the published server uses.
const (
	codeInvalidRequest = -32600.0
	codeInternal       = -32603.0
)

func (d *desk) mcp(t *testing.T, key string) *driven {
	t.Helper()
	return d.drive(t, "mcp", map[string]any{"ASS_API_URL": d.url + "/", "ASS_AGENT_KEY": key})
}

// tool calls a tool that must succeed, and decodes what it says.
func (c *driven) tool(t *testing.T, into any, name string, args map[string]any) {
	t.Helper()
	var r toolResult
	c.does(t, &r, "callTool", map[string]any{"name": name, "arguments": args})
	if r.IsError || len(r.Content) != 1 || r.Content[0].Type != "text" {
		t.Fatalf("%s: %+v", name, r)
	}
	decode(t, []byte(r.Content[0].Text), into)
}

// toolFails calls a tool that must fail as an error of the protocol.
func (c *driven) toolFails(t *testing.T, code float64, name string, args map[string]any) problem {
	t.Helper()
	o := c.call(t, "callTool", map[string]any{"name": name, "arguments": args})
	if o.Error == nil || o.Error.Code != code {
		t.Fatalf("%s: %s %+v, want the error %v", name, o.Result, o.Error, code)
	}
	return *o.Error
}

// TestMCP calls every tool of the published MCP server over stdio, in the
// official client.
func TestMCP(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	database := d.store(t, "production/database/url")
	mcp := d.mcp(t, d.billing)

	var offered struct{ Tools []struct{ Name string } }
	mcp.does(t, &offered, "listTools")
	var names []string
	for _, tool := range offered.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	same(t, "tools", names, []string{
		"delete_secret", "get_approval_status", "get_secret", "list_namespaces", "list_secrets", "request_token", "rotate_secret", "set_secret",
	})

	// A namespace of one segment and of several, and a key with a space: the
	// server encodes the namespace into one segment.
	for _, at := range []struct{ namespace, key string }{{"production/billing", "SMTP PASSWORD"}, {"staging/billing/eu", "key"}} {
		value := d.value(t)
		var stored, got secret
		mcp.tool(t, &stored, "set_secret", map[string]any{"namespace": at.namespace, "key": at.key, "value": value, "secret_type": "api_key"})
		if stored.Namespace != at.namespace || stored.Key != at.key || stored.Version != 1 || stored.SecretType != "api_key" || stored.Value != nil {
			t.Errorf("set_secret: %+v", stored)
		}
		mcp.tool(t, &got, "get_secret", map[string]any{"namespace": at.namespace, "key": at.key})
		if got.Value == nil || *got.Value != value {
			t.Errorf("get_secret: %+v", got)
		}
	}
	var got secret
	mcp.tool(t, &got, "get_secret", map[string]any{"namespace": "production/database", "key": "url"})
	if got.Value == nil || *got.Value != database {
		t.Errorf("get_secret: %+v", got)
	}

	var listed listing
	mcp.tool(t, &listed, "list_secrets", map[string]any{"namespace": "staging/billing"})
	same(t, "list_secrets", listed.keys(), []string{"staging/billing/eu/key"})
	mcp.tool(t, &listed, "list_secrets", map[string]any{"namespace": "production"})
	same(t, "list_secrets", listed.keys(), []string{"production/billing/SMTP PASSWORD", "production/database/url"})
	mcp.tool(t, &listed, "list_secrets", map[string]any{"namespace": "staging/billing/none"})
	same(t, "list_secrets of nothing", len(listed.Items), 0)

	var all json.RawMessage
	mcp.tool(t, &all, "list_namespaces", map[string]any{})
	mentions(t, string(all), `"production/billing"`, `"production/database"`, `"staging/billing/eu"`)

	var issued struct {
		Token  string
		Scopes []string
		TTL    string
	}
	mcp.tool(t, &issued, "request_token", map[string]any{"scopes": []string{"secrets:read:production/database/*"}, "ttl": "15m"})
	if status, answer := d.send(t, issued.Token, http.MethodGet, "/v1/secrets/production/database/url", ""); status != http.StatusOK || answer["value"] != database {
		t.Errorf("the token reads %d %v", status, answer)
	}
	same(t, "ttl", issued.TTL, "15m")

	// These two send nothing: they tell a person what to run.
	for _, tool := range []string{"delete_secret", "rotate_secret"} {
		var told struct {
			RequiresHumanAuth bool `json:"requires_human_auth"`
			Message           string
		}
		mcp.tool(t, &told, tool, map[string]any{"namespace": "production/database", "key": "url"})
		if !told.RequiresHumanAuth {
			t.Errorf("%s: %+v", tool, told)
		}
	}
	mcp.tool(t, &got, "get_secret", map[string]any{"namespace": "production/database", "key": "url"})

	// What is refused is said in the server's words: it shows detail and nothing else.
	refused := mcp.toolFails(t, codeInternal, "get_secret", map[string]any{"namespace": "support", "key": "helpdesk"})
	mentions(t, refused.Message, "secrets:read:support/helpdesk")
	missing := mcp.toolFails(t, codeInternal, "get_secret", map[string]any{"namespace": "production/database", "key": "none"})
	mentions(t, missing.Message, "There is no such secret")
	stranger := d.mcp(t, "ass_live_0000000000000000000000")
	unknown := stranger.toolFails(t, codeInternal, "list_namespaces", map[string]any{})
	mentions(t, unknown.Message, "credential")
}

// TestMCPApproval: the model learns of the request, asks how it stands, and
// tries again.
func TestMCPApproval(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	value := d.store(t, "production/database/url", "--tier", "sensitive")
	mcp := d.mcp(t, d.billing)
	at := map[string]any{"namespace": "production/database", "key": "url"}

	var asked struct {
		RequiresApproval bool   `json:"requires_approval"`
		ApprovalID       string `json:"approval_id"`
	}
	mcp.tool(t, &asked, "request_token", map[string]any{"scopes": []string{"secrets:read:production/database/url"}})
	if !asked.RequiresApproval || asked.ApprovalID == "" {
		t.Fatalf("request_token: %+v", asked)
	}
	refused := mcp.toolFails(t, codeInvalidRequest, "get_secret", at)
	mentions(t, refused.Message, "Human approval required", asked.ApprovalID)

	status := func(want string) {
		t.Helper()
		var got struct{ Status string }
		mcp.tool(t, &got, "get_approval_status", map[string]any{"approval_id": asked.ApprovalID})
		same(t, "get_approval_status", got.Status, want)
	}
	status("pending")
	d.approve(t, asked.ApprovalID)
	status("approved")
	var got secret
	mcp.tool(t, &got, "get_secret", at)
	if got.Value == nil || *got.Value != value {
		t.Errorf("get_secret: %+v", got)
	}
	status("approved") // and used; the server knows no such word
	mcp.toolFails(t, codeInternal, "get_approval_status", map[string]any{"approval_id": "apr_0000000000"})
}
