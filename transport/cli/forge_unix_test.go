//go:build linux || darwin

package cli_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestForgedLine: what a desk says of itself makes no line of doctor's.
func TestForgedLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	forged := `\nok    mode    M2: all is well\n\u001b[2J`
	desk := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ok","version":"1`+forged+`","private":["/x`+forged+`"],"program":"/y`+forged+`"}`)
	})}
	served := make(chan error, 1)
	go func() { served <- desk.Serve(ln) }()
	defer func() {
		_ = desk.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	var stdout, stderr bytes.Buffer
	std := cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}
	code := cli.MainAt(t.Context(), std, []string{"doctor", "--server", "unix://" + path}, func(string) string { return "" }, time.Now)
	if stdout.Len() == 0 || strings.Contains(stdout.String()+stderr.String(), "\x1b") {
		t.Fatalf("code %d: %q %q", code, stdout.String(), stderr.String())
	}
	for line := range strings.Lines(stdout.String()) {
		if strings.HasPrefix(line, "ok") && strings.Contains(line, "M2") && !strings.HasPrefix(line, "ok    desk") {
			t.Errorf("a line of the desk's own: %q", line)
		}
	}
}
