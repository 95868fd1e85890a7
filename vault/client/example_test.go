package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// service starts a service that answers every request in the same way, and a client
// of it. A program writes client.New(nil) and has its key in ASS_AGENT_KEY.
func service(status int, answer string) (*client.Client, func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	c, err := client.New(&client.Options{AgentKey: secret.New([]byte("ass_live_example")), BaseURL: server.URL, Edition: client.EditionA, Retries: client.NoRetries})
	if err != nil {
		panic(err)
	}
	return c, server.Close
}

func ExampleNew() {
	c, err := client.New(&client.Options{
		AgentKey: secret.New([]byte("ass_live_your_key_here")), // default: ASS_AGENT_KEY
		BaseURL:  "https://vault.example.com",                  // default: https://api.agentsecretstore.com/v1
		Timeout:  5 * time.Second,                              // default: 10 s
		Retries:  client.NoRetries,                             // default: 3
	})
	fmt.Println(c.BaseURL(), err)
	// Output: https://vault.example.com/v1 <nil>
}

func ExampleClient_GetSecret() {
	c, stop := service(200, `{"path":"production/openai/api-key","value":"sk-proj-abc123","version":2,"tier":"sensitive"}`)
	defer stop()
	s, err := c.GetSecret(context.Background(), "production/openai/api-key", &client.GetOptions{Version: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Path, s.Version, s.Tier, s.Value)
	fmt.Println(string(s.Value.Reveal()))
	// Output:
	// production/openai/api-key 2 sensitive [secret]
	// sk-proj-abc123
}

func ExampleClient_SetSecret() {
	c, stop := service(201, `{"path":"production/openai/api-key","version":1,"tier":"sensitive"}`)
	defer stop()
	m, err := c.SetSecret(context.Background(), "production/openai/api-key", secret.New([]byte("sk-proj-abc123")), &client.SetOptions{
		Tier:        vault.Sensitive,
		Description: "OpenAI production key",
		Tags:        map[string]string{"team": "ml", "env": "prod"},
		ExpiresAt:   time.Date(2031, 12, 31, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Path, m.Version, m.Tier)
	// Output: production/openai/api-key 1 sensitive
}

func ExampleClient_ListSecrets() {
	c, stop := service(200, `{"items":[{"path":"production/openai/api-key","version":3,"tier":"sensitive"}],"next_cursor":"c1"}`)
	defer stop()
	page, err := c.ListSecrets(context.Background(), "production/openai", &client.ListOptions{Limit: 50})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range page.Items {
		fmt.Println(m.Path, m.Version, m.Tier)
	}
	fmt.Println("next:", page.NextCursor)
	// Output:
	// production/openai/api-key 3 sensitive
	// next: c1
}

func ExampleClient_Secrets() {
	c, stop := service(200, `{"items":[{"path":"production/openai/api-key"},{"path":"production/openai/org"}]}`)
	defer stop()
	for m, err := range c.Secrets(context.Background(), "production/openai", nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Path)
	}
	// Output:
	// production/openai/api-key
	// production/openai/org
}

func ExampleClient_RequestToken() {
	c, stop := service(201, `{"token":"ast_tok_example","token_id":"tok_example","expires_at":"2030-01-01T00:00:00Z","approval_status":"approved"}`)
	defer stop()
	token, err := c.RequestToken(context.Background(), client.TokenOptions{
		Scope:       "secrets:read:production/openai/*",
		TTL:         time.Hour,
		Description: "Inference agent",
		AllowedIPs:  []string{"10.0.1.50"},
		MaxUses:     1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.ID, token.Scopes, token.ApprovalStatus, token.ExpiresAt)
	// Output: tok_example [secrets:read:production/openai/*] approved 2030-01-01 00:00:00 +0000 UTC
}

func ExampleClient_WaitForApproval() {
	c, stop := service(200, `{"status":"approved","token":"ast_tok_example","expires_at":"2030-01-01T00:00:00Z"}`)
	defer stop()
	token, err := c.WaitForApproval(context.Background(), "apr_example", &client.WaitOptions{Timeout: 2 * time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.ApprovalStatus, token.Value)
	// Output: approved [secret]
}

func ExampleClient_RotateSecret() {
	c, stop := service(200, `{"new_version":2,"old_version":1,"expires_at":"2030-01-01T00:05:00Z"}`)
	defer stop()
	r, err := c.RotateSecret(context.Background(), "production/openai/api-key", secret.New([]byte("sk-proj-newvalue456")), &client.RotateOptions{Grace: 5 * time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.NewVersion, r.OldVersion, r.ExpiresAt)
	// Output: 2 1 2030-01-01 00:05:00 +0000 UTC
}

func ExampleClient_DeleteSecret() {
	c, stop := service(204, "")
	defer stop()
	fmt.Println(c.DeleteSecret(context.Background(), "staging/openai/test-key", nil)) // to the trash
	fmt.Println(c.DeleteSecret(context.Background(), "staging/openai/test-key", &client.DeleteOptions{Permanent: true}))
	// Output:
	// <nil>
	// <nil>
}

func ExampleClient_RestoreSecret() {
	c, stop := service(200, `{"path":"staging/openai/test-key","version":4}`)
	defer stop()
	m, err := c.RestoreSecret(context.Background(), "staging/openai/test-key")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Path, m.Version)
	// Output: staging/openai/test-key 4
}

func ExampleClient_ListVersions() {
	c, stop := service(200, `{"items":[{"version":2,"current":true},{"version":1,"readable_until":"2030-01-01T00:05:00Z"}]}`)
	defer stop()
	versions, err := c.ListVersions(context.Background(), "production/openai/api-key")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range versions {
		fmt.Println(v.Number, v.Current)
	}
	// Output:
	// 2 true
	// 1 false
}

func ExampleClient_ImportEnv() {
	c, stop := service(201, `{"keys":["OPENAI_API_KEY","DATABASE_URL"]}`)
	defer stop()
	names, err := c.ImportEnv(context.Background(), "production/app", secret.New([]byte("OPENAI_API_KEY=sk-1\nDATABASE_URL=postgres://…\n")), nil)
	fmt.Println(names, err)
	// Output: [OPENAI_API_KEY DATABASE_URL] <nil>
}

func ExampleClient_RevokeToken() {
	c, stop := service(204, "")
	defer stop()
	fmt.Println(c.RevokeToken(context.Background(), "tok_example"))
	// Output: <nil>
}

// Another desk, or the hosted service, as the vault behind a desk.
func ExampleClient_Vault() {
	c, stop := service(200, `{"path":"production/openai/api-key","value":"sk-proj-abc123","version":2}`)
	defer stop()
	var behind vault.Vault = c.Vault()
	s, err := behind.Get(context.Background(), "production/openai/api-key", vault.Latest)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Path, s.Version, s.Value)
	// Output: production/openai/api-key 2 [secret]
}

// Every error of the seed, by its type.
func ExampleError() {
	c, stop := service(403, `{"error":{"code":"SCOPE_DENIED","message":"The token does not cover this path.","required_scope":"secrets:read:production/stripe/api-key"}}`)
	defer stop()
	_, err := c.GetSecret(context.Background(), "production/stripe/api-key", nil)
	var (
		auth       *client.AuthError
		permission *client.PermissionError
		notFound   *client.NotFoundError
		pending    *client.ApprovalPendingError
		limit      *client.RateLimitError
		network    *client.NetworkError
		other      *client.Error
	)
	switch {
	case errors.As(err, &auth):
		fmt.Println("auth failed:", auth.Message)
	case errors.As(err, &permission):
		fmt.Println("scope violation:", permission.Path, permission.RequiredScope)
	case errors.As(err, &notFound):
		fmt.Println("secret not found:", notFound.Path)
	case errors.As(err, &pending):
		fmt.Println("pending approval:", pending.ApprovalRequestID)
	case errors.As(err, &limit):
		fmt.Println("retry after:", limit.RetryAfter)
	case errors.As(err, &network):
		fmt.Println("network error:", network.Cause)
	case errors.As(err, &other):
		fmt.Println("vault error:", other.Message, other.Code, other.StatusCode)
	}
	// Output: scope violation: production/stripe/api-key secrets:read:production/stripe/api-key
}
