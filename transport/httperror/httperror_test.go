package httperror_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httperror"
)

func TestWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		no    httperror.Refusal
		body  string
		after string
	}{
		"plain": {httperror.New(404, "SECRET_NOT_FOUND", "there is no such secret"), `{"error":{"code":"SECRET_NOT_FOUND","message":"there is no such secret"},"detail":"there is no such secret"}`, ""},
		"scope": {
			httperror.Refusal{Status: 403, Code: "SCOPE_DENIED", Message: "no", Path: "a/b", RequiredScope: "secrets:read:a/b"},
			`{"error":{"code":"SCOPE_DENIED","message":"no","path":"a/b","required_scope":"secrets:read:a/b"},"detail":"no"}`, "",
		},
		"approval": {
			httperror.Refusal{Status: 403, Code: "APPROVAL_REQUIRED", Message: "wait", ApprovalID: "apr_1", RetryAfter: time.Minute},
			`{"error":{"code":"APPROVAL_REQUIRED","message":"wait","approval_id":"apr_1","approval_request_id":"apr_1","retry_after":60},"detail":"wait"}`, "60",
		},
		"a part of a second": {
			httperror.Refusal{Status: 429, Code: "RATE_LIMITED", Message: "slowly", RetryAfter: time.Millisecond},
			`{"error":{"code":"RATE_LIMITED","message":"slowly","retry_after":1},"detail":"slowly"}`, "1",
		},
		"text that could end a string": {httperror.Refusal{Status: 400, Code: "VALIDATION_ERROR", Message: "a \"b\"\n\x00"}, `{"error":{"code":"VALIDATION_ERROR","message":"a \"b\"\n\u0000"},"detail":"a \"b\"\n\u0000"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Allow", "GET")
			tt.no.Write(w)
			got := w.Result()
			_ = got.Body.Close()
			if got.StatusCode != tt.no.Status || w.Body.String() != tt.body || got.ContentLength != int64(len(tt.body)) {
				t.Errorf("%d %s, %d bytes; want %s", got.StatusCode, w.Body, got.ContentLength, tt.body)
			}
			for field, want := range map[string]string{"Content-Type": "application/json", "Content-Encoding": "", "Allow": "GET", "Retry-After": tt.after} {
				if got.Header.Get(field) != want {
					t.Errorf("%s: %q, want %q", field, got.Header.Get(field), want)
				}
			}
		})
	}
}
