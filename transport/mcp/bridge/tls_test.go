//go:build linux || darwin

package bridge_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// untrusted is a server whose certificate nobody has signed. Its address leads to
// this machine, but is none of those that are never asked for through a proxy.
func untrusted(t *testing.T) (server string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "127.0.0.1", "0.0.0.0", 1)
}
