package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
)

// wantCode holds an error to be an *Error with a code and a status.
func wantCode(t *testing.T, err error, code string, status int) {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Errorf("got %v, want an error with code %s", err, code)
	} else if e.Code != code || e.StatusCode != status {
		t.Errorf("got code %s and status %d, want %s and %d", e.Code, e.StatusCode, code, status)
	}
}

func wantMessage(t *testing.T, err error, message string) {
	t.Helper()
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Message != message {
		t.Errorf("got %v, want the message %q", err, message)
	}
}

// sentinels are the kinds of errors, each of which excludes the others.
var sentinels = []error{client.ErrAuth, client.ErrPermission, client.ErrNotFound, client.ErrRateLimit, client.ErrApprovalPending, client.ErrNetwork}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	for _, s := range sentinels {
		if is := errors.Is(err, s); is != errors.Is(kind, s) {
			t.Errorf("%v: being %v is %v", err, s, is)
		}
	}
}

// TestErrorHandling has every error of the seed with what it carries.
func TestErrorHandling(t *testing.T) {
	const path = "production/stripe/api-key"
	get := func(t *testing.T, e exchange) error {
		t.Helper()
		e.request = "GET /v1/secrets/production%2Fstripe%2Fapi-key"
		_, err := script(t, e).of(func(o *client.Options) { o.Retries = client.NoRetries }).GetSecret(t.Context(), path, nil)
		if err == nil {
			t.Fatal("no error")
		}
		return err
	}
	t.Run("AgentVaultAuthError", func(t *testing.T) {
		err := get(t, exchange{status: 401, answer: `{"error":{"code":"UNAUTHORIZED","message":"Invalid or expired key."},"detail":"x"}`})
		wantKind(t, err, client.ErrAuth)
		if e, ok := errors.AsType[*client.AuthError](err); !ok || e.Message != "Invalid or expired key." {
			t.Errorf("got %#v", err)
		}
		wantCode(t, err, "UNAUTHORIZED", 401)
		want(t, "text", err.Error(), "UNAUTHORIZED: Invalid or expired key.")
	})
	t.Run("AgentVaultPermissionError", func(t *testing.T) {
		err := get(t, exchange{status: 403, answer: `{"error":{"code":"SCOPE_DENIED","message":"No.","path":"production/stripe/api-key","required_scope":"secrets:read:production/*"}}`})
		wantKind(t, err, client.ErrPermission)
		if e, ok := errors.AsType[*client.PermissionError](err); !ok || e.Path != path || e.RequiredScope != "secrets:read:production/*" {
			t.Errorf("got %#v", err)
		}
		wantCode(t, err, "SCOPE_DENIED", 403)
		err = get(t, exchange{status: 403, answer: `{"detail":"Forbidden here"}`}) // says neither
		if e, ok := errors.AsType[*client.PermissionError](err); !ok || e.Path != path || e.RequiredScope != "secrets:read:"+path || e.Message != "Forbidden here" {
			t.Errorf("got %#v", err)
		}
		err = get(t, exchange{status: 403, answer: `{"error":{"code":"APPROVAL_DENIED","message":"No."}}`})
		if wantKind(t, err, client.ErrPermission); !errors.Is(err, client.ErrApprovalDenied) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AgentVaultNotFoundError", func(t *testing.T) {
		err := get(t, exchange{status: 404, answer: `{"error":{"code":"SECRET_NOT_FOUND","message":"No such secret."}}`})
		wantKind(t, err, client.ErrNotFound)
		if e, ok := errors.AsType[*client.NotFoundError](err); !ok || e.Path != path {
			t.Errorf("got %#v", err)
		}
		wantCode(t, err, "SECRET_NOT_FOUND", 404)
		err = get(t, exchange{answer: `{"namespace":"production/stripe/api-key","items":[]}`}) // the path is a namespace
		wantKind(t, err, client.ErrNotFound)
	})
	t.Run("AgentVaultApprovalPendingError", func(t *testing.T) {
		for name, e := range map[string]exchange{
			"202":                {status: 202, answer: `{"approval_request_id":"apr_1","status":"pending"}`},
			"202, edition B":     {status: 202, answer: `{"requires_approval":true,"approval_id":"apr_1"}`},
			"202, in the error":  {status: 202, answer: `{"error":{"approval_id":"apr_1"}}`},
			"403":                {status: 403, answer: `{"error":{"code":"APPROVAL_REQUIRED","message":"Wait.","approval_id":"apr_1"}}`},
			"200 with no secret": {status: 200, answer: `{"requires_approval":true,"approval_id":"apr_1"}`},
		} {
			err := get(t, e)
			wantKind(t, err, client.ErrApprovalPending)
			if p, ok := errors.AsType[*client.ApprovalPendingError](err); !ok || p.ApprovalRequestID != "apr_1" {
				t.Errorf("%s: got %#v", name, err)
			}
			wantCode(t, err, client.CodeApproval, e.status)
		}
	})
	t.Run("AgentVaultRateLimitError", func(t *testing.T) {
		for name, e := range map[string]exchange{
			"seconds":     {header: map[string]string{"Retry-After": " 7 "}},
			"in the body": {answer: `{"error":{"retry_after":7}}`},
		} {
			e.status = 429
			err := get(t, e)
			wantKind(t, err, client.ErrRateLimit)
			if r, ok := errors.AsType[*client.RateLimitError](err); !ok || r.RetryAfter != 7*time.Second {
				t.Errorf("%s: got %#v", name, err)
			}
			wantCode(t, err, "RATE_LIMITED", 429)
		}
		err := get(t, exchange{status: 429, header: map[string]string{"Retry-After": time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)}})
		if r, ok := errors.AsType[*client.RateLimitError](err); !ok || r.RetryAfter < 50*time.Second || r.RetryAfter > time.Minute {
			t.Errorf("a date: got %#v", err)
		}
		for _, odd := range []string{"-5", "soon", "999999999999999999999", ""} {
			err := get(t, exchange{status: 429, header: map[string]string{"Retry-After": odd}})
			if r, ok := errors.AsType[*client.RateLimitError](err); !ok || r.RetryAfter < 0 {
				t.Errorf("%q: got %#v", odd, err)
			}
		}
	})
	t.Run("AgentVaultNetworkError", func(t *testing.T) {
		err := get(t, exchange{header: map[string]string{"Content-Length": "100"}, answer: `{"value":`})
		wantKind(t, err, client.ErrNetwork)
		if e, ok := errors.AsType[*client.NetworkError](err); !ok || !errors.Is(e.Cause, io.ErrUnexpectedEOF) {
			t.Errorf("got %#v", err)
		}
		wantCode(t, err, client.CodeNetwork, 0)
		s := script(t)
		s.Close()
		_, err = s.of().GetSecret(t.Context(), path, nil)
		wantKind(t, err, client.ErrNetwork)
		if _, ok := errors.AsType[*net.OpError](err); !ok || strings.Contains(err.Error(), "stripe") {
			t.Errorf("got %#v", err) // the cause, and no URL
		}
	})
	t.Run("AgentVaultError", func(t *testing.T) {
		err := get(t, exchange{status: 409, answer: `{"error":{"code":"PATH_CONFLICT","message":"Choose another path."}}`})
		wantKind(t, err, nil)
		wantCode(t, err, "PATH_CONFLICT", 409)
		wantMessage(t, err, "Choose another path.")
		for _, body := range []string{"", "<html>oops</html>", `{"error":"oops"}`, `[]`, `{"error":{"code":"two words"}}`, `{"error":{"code":"` + strings.Repeat("X", 65) + `"}}`} {
			err := get(t, exchange{status: 500, answer: body})
			wantCode(t, err, client.CodeUnknown, 500)
			wantMessage(t, err, "internal server error")
		}
	})
}

// TestAnswersThatMakeNoSense are told as such, not taken for a value.
func TestAnswersThatMakeNoSense(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing": "", "no JSON": "sk-1", "no value": `{"path":"a/b"}`, "a number": `{"value":5}`, "an array": `[1]`, "null": `{"value":null}`,
		"not base64": `{"value":"***","encoding":"base64"}`, "a broken time": `{"value":"v","created_at":"yesterday"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, exchange{request: "GET /v1/secrets/a%2Fb", answer: answer})
			_, err := s.of().GetSecret(t.Context(), "a/b", nil)
			wantCode(t, err, client.CodeInvalidResponse, 200)
		})
	}
}

// TestTextsOfTheServiceAreCleaned: bounded, printable, and without what was sent.
func TestTextsOfTheServiceAreCleaned(t *testing.T) {
	say := func(answer string) *client.Error {
		t.Helper()
		s := script(t, exchange{request: "PUT /v1/secrets/a%2Fb", body: `{"value":"v-canary"}`, status: 418, answer: answer})
		_, err := s.of().SetSecret(t.Context(), "a/b", text("v-canary"), nil)
		if strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "v-canary") {
			t.Errorf("the error shows what was sent: %v", err)
		}
		e, _ := errors.AsType[*client.Error](err)
		return e
	}
	want(t, "terminal codes", say(`{"error":{"message":"\u001b[31mred\u001b[0m\r\nnext\u202eline\u0000"}}`).Message, "[31mred [0m  next line")
	want(t, "length", len(say(`{"error":{"message":"`+strings.Repeat("x", 5000)+`"}}`).Message), 300)
	want(t, "length in characters", len([]rune(say(`{"error":{"message":"`+strings.Repeat("ü", 5000)+`"}}`).Message)), 300)
	want(t, "the key", say(`{"error":{"message":"bad `+key+`!"}}`).Message, "i'm a teapot")
	want(t, "the value", say(`{"error":{"message":"bad v-can\u0061ry!"}}`).Message, "i'm a teapot")
	want(t, "the value far behind", say(`{"error":{"message":"`+strings.Repeat("x", 295)+`v-canary"}}`).Message, "i'm a teapot")
	want(t, "the key in the code", say(`{"error":{"code":"`+key+`"}}`).Code, client.CodeUnknown)

	s := script(t, exchange{request: "GET /v1/secrets?namespace=n", status: 403, answer: `{"error":{"path":"x\u001b` + strings.Repeat("y", 3000) + `","required_scope":"` + key + `"}}`})
	_, err := s.of().ListSecrets(t.Context(), "n", nil)
	if e, ok := errors.AsType[*client.PermissionError](err); !ok || len(e.Path) != 1024 || strings.Contains(e.Path, "\x1b") || e.RequiredScope != "secrets:read:n/*" {
		t.Errorf("got %#v", err)
	}
}

// TestGarbageOnTheLine: net/http quotes what it cannot read; the key is not in
// what is shown of it.
func TestGarbageOnTheLine(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "HTTP/1.1 "+key+strings.Repeat("!", 2000)+"\r\n\r\n")
			_ = conn.Close()
		}
	}()
	c, err := client.New(&client.Options{AgentKey: text(key), BaseURL: "http://" + listener.Addr().String(), Edition: client.EditionA, Retries: client.NoRetries})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.GetSecret(t.Context(), "a/b", nil)
	e, ok := errors.AsType[*client.NetworkError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	for _, shown := range []string{err.Error(), e.Cause.Error()} {
		if strings.Contains(shown, key) || len(shown) > 400 {
			t.Errorf("shows %q", shown)
		}
	}
}

func TestAnswerTooLong(t *testing.T) {
	sent := 0
	c := clientOf(t, func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: 200, Body: io.NopCloser(io.LimitReader(zeros{}, 1<<40))}, nil
	})
	_, err := c.GetSecret(t.Context(), "a/b", nil)
	if wantCode(t, err, client.CodeTooLarge, 200); sent != 1 {
		t.Errorf("%d attempts", sent)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestArguments that cannot be are refused before anything is sent.
func TestArguments(t *testing.T) {
	c := script(t).of() // expects nothing
	ctx := t.Context()
	calls := map[string]func(path string) error{
		"get":      func(p string) error { _, err := c.GetSecret(ctx, p, nil); return err },
		"set":      func(p string) error { _, err := c.SetSecret(ctx, p, text("v"), nil); return err },
		"list":     func(p string) error { _, err := c.ListSecrets(ctx, p+"/x//", nil); return err },
		"rotate":   func(p string) error { _, err := c.RotateSecret(ctx, p, text("v"), nil); return err },
		"delete":   func(p string) error { return c.DeleteSecret(ctx, p, nil) },
		"restore":  func(p string) error { _, err := c.RestoreSecret(ctx, p); return err },
		"versions": func(p string) error { _, err := c.ListVersions(ctx, p); return err },
		"import":   func(p string) error { _, err := c.ImportEnv(ctx, p, text("A=b"), nil); return err },
	}
	for name, call := range calls {
		for _, path := range []string{"", "/", "/a-canary", "a-canary//b", "a-canary/../b", "./a-canary", "a-canary\x00", "a-canary\nb", "a-canary\xff", strings.Repeat("canary", 200)} {
			err := call(path)
			wantCode(t, err, client.CodeValidation, 0)
			if _, ok := errors.AsType[*vault.InvalidError](err); !ok || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s %q: %v", name, path, err)
			}
		}
	}
	get := func(o client.GetOptions) error { _, err := c.GetSecret(ctx, "a/b", &o); return err }
	rotate := func(o client.RotateOptions) error { _, err := c.RotateSecret(ctx, "a/b", text("v"), &o); return err }
	ask := func(o client.TokenOptions) error { _, err := c.RequestToken(ctx, o); return err }
	for name, err := range map[string]error{
		"version":         get(client.GetOptions{Version: -1}),
		"no value to set": func() error { _, err := c.SetSecret(ctx, "a/b", text(""), nil); return err }(),
		"no new value":    func() error { _, err := c.RotateSecret(ctx, "a/b", text(""), nil); return err }(),
		"limit":           func() error { _, err := c.ListSecrets(ctx, "a", &client.ListOptions{Limit: -1}); return err }(),
		"grace":           rotate(client.RotateOptions{Grace: -time.Second}),
		"broken grace":    rotate(client.RotateOptions{Grace: time.Millisecond}),
		"no scope":        ask(client.TokenOptions{}),
		"two scopes":      ask(client.TokenOptions{Scope: "secrets:read:*", Scopes: []string{"secrets:read:*"}}),
		"empty scope":     ask(client.TokenOptions{Scopes: []string{""}}),
		"ttl":             ask(client.TokenOptions{Scope: "*", TTL: -time.Hour}),
		"broken ttl":      ask(client.TokenOptions{Scope: "*", TTL: 1500 * time.Millisecond}),
		"uses":            ask(client.TokenOptions{Scope: "*", MaxUses: -1}),
		"token id":        c.RevokeToken(ctx, "../agents/x y"),
		"no token id":     c.RevokeToken(ctx, ""),
		"dots":            c.RevokeToken(ctx, ".."),
		"approval id":     func() error { _, err := c.WaitForApproval(ctx, "", nil); return err }(),
		"nothing":         func() error { _, err := c.ImportEnv(ctx, "a", text(""), nil); return err }(),
		"no text":         func() error { _, err := c.ImportEnv(ctx, "a", text("A=\xff"), nil); return err }(),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, err, client.CodeValidation, 0) })
	}
}

// TestEndedContext is a network error that still is the context's.
func TestEndedContext(t *testing.T) {
	c := script(t).of()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.GetSecret(ctx, "a/b", nil)
	if wantKind(t, err, client.ErrNetwork); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
