//go:build linux || darwin

package bridge_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// untrusted is a server whose certificate nobody has signed.
func untrusted(t *testing.T) (server string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}
