package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/coatcheck-dev/coatcheck/vault/client"
)

// FuzzAnswer: whatever a service answers, a call ends in a result or in an
// *Error that is printable, bounded, and does not repeat key or value.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		openaiSecret, approvedToken, `{"status":"approved","token":"t"}`, `{"items":[{"path":"a"}],"next_cursor":"c"}`, `{"items":[{"version":1}],"path":"a"}`, `{"keys":["A"]}`,
		`{"error":{"code":"SCOPE_DENIED","message":"\u001b[1m` + key + `","path":"\u202e"},"detail":[1]}`, `{"requires_approval":true,"approval_id":"\u0000"}`,
		`{"value":"v-canary"}`, `{"error":{"code":"` + key + `","required_scope":"v-canary","retry_after":1e300}}`, `[]`, "\xff", "",
	} {
		for _, status := range []int{200, 202, 204, 302, 400, 401, 403, 404, 429, 503} {
			f.Add(status, body, "30")
		}
	}
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		if status < 200 || status > 999 {
			return // net/http lets no such status through
		}
		for _, e := range []client.Edition{client.Detect, client.EditionA, client.EditionB} {
			answers := 0
			c := clientOf(t, func(*http.Request) (*http.Response, error) {
				if answers++; answers > 10 {
					return nil, errors.New("enough")
				}
				return response(status, body, "Retry-After", after), nil
			}, func(o *client.Options) { o.Edition, o.Retries, o.RetryDelay = e, client.NoRetries, 1 })
			for name, call := range calls(t.Context(), c) {
				answers = 0
				err := call()
				if err == nil {
					continue
				}
				base, ok := errors.AsType[*client.Error](err)
				if !ok {
					t.Errorf("%s: %v is no *Error", name, err)
					continue
				}
				sent := e == client.EditionA && (name == "set" || name == "rotate" || name == "import") // elsewhere it is not said before something else fails
				shown := []string{err.Error(), base.Message, base.Code}
				if p, ok := errors.AsType[*client.PermissionError](err); ok {
					shown = append(shown, p.Path, p.RequiredScope)
				}
				if p, ok := errors.AsType[*client.ApprovalPendingError](err); ok {
					shown = append(shown, p.ApprovalRequestID)
				}
				for _, s := range shown {
					if strings.Contains(s, key) || sent && strings.Contains(s, "v-canary") || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || len([]rune(s)) > 1100 {
						t.Errorf("%s shows %q", name, s)
					}
				}
			}
		}
	})
}

// calls returns one call of each method.
func calls(ctx context.Context, c *client.Client) map[string]func() error {
	value := text("v-canary")
	return map[string]func() error{
		"get":  func() error { _, err := c.GetSecret(ctx, "n/a", nil); return err },
		"set":  func() error { _, err := c.SetSecret(ctx, "n/a", value, nil); return err },
		"list": func() error { _, err := c.ListSecrets(ctx, "n", nil); return err },
		"token": func() error {
			_, err := c.RequestToken(ctx, client.TokenOptions{Scope: "secrets:read:n/a"})
			return err
		},
		"revoke":   func() error { return c.RevokeToken(ctx, "tok_1") },
		"rotate":   func() error { _, err := c.RotateSecret(ctx, "n/a", value, nil); return err },
		"delete":   func() error { return c.DeleteSecret(ctx, "n/a", &client.DeleteOptions{Permanent: true}) },
		"restore":  func() error { _, err := c.RestoreSecret(ctx, "n/a"); return err },
		"versions": func() error { _, err := c.ListVersions(ctx, "n/a"); return err },
		"import":   func() error { _, err := c.ImportEnv(ctx, "n", text("A=v-canary"), nil); return err },
	}
}
