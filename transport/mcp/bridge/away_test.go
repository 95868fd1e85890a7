//go:build linux || darwin

package bridge_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
	"github.com/coatcheck-dev/coatcheck/transport/socket"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// status answers with a status, in the desk's own envelope if code is not empty.
func status(n int, code string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) {
		body := "<html>"
		if code != "" {
			w.Header().Set("Content-Type", "application/json")
			body = `{"error":{"code":"` + code + `","message":"m"}}`
		}
		w.Header().Set("Location", "https://elsewhere.example/mcp")
		w.WriteHeader(n)
		_, _ = fmt.Fprint(w, body)
	}
}

func body(kind, text string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) {
		w.Header().Set("Content-Type", kind)
		_, _ = fmt.Fprint(w, text)
	}
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, request) { panic(http.ErrAbortHandler) }

// TestTrouble: each fault has its code and next step; what may have been carried
// out is asked for once, what was not is asked for again.
func TestTrouble(t *testing.T) {
	const call, list = "tools/call", "tools/list"
	for name, test := range map[string]struct {
		method string
		first  func(http.ResponseWriter, request) // the answer to the first of them; the rest are good
		code   string                             // "": it comes right
		asked  int
	}{
		"a call whose connection ends":      {call, cut, "OUTCOME_UNKNOWN", 1},
		"a list whose connection ends":      {list, cut, "", 2},
		"a call to a proxy without a desk":  {call, status(502, ""), "OUTCOME_UNKNOWN", 1},
		"a list to a proxy without a desk":  {list, status(502, ""), "", 2},
		"a call to a proxy that is busy":    {call, status(503, ""), "OUTCOME_UNKNOWN", 1},
		"a call to a desk that is stopping": {call, status(503, "CLOSING"), "", 2},
		"a call to a desk that is busy":     {call, status(429, "RATE_LIMITED"), "", 2},
		"a call to a desk that is broken":   {call, status(500, "INTERNAL"), "OUTCOME_UNKNOWN", 1},
		"a key that is not known":           {call, status(401, "UNAUTHORIZED"), "KEY_REFUSED", 1},
		"a name that is not known":          {call, status(403, "HOST_REFUSED"), "HOST_REFUSED", 1},
		"a redirect":                        {call, status(307, ""), "REDIRECTED", 1},
		"a large message":                   {call, status(413, "BODY_TOO_LARGE"), "TOO_LARGE", 1},
		"another refusal":                   {call, status(431, ""), "DESK_REFUSED", 1},
		"no desk":                           {call, status(404, "NOT_FOUND"), "NO_DESK", 1},
		"an answer of another kind":         {call, body("text/plain", "hello"), "BAD_ANSWER", 1},
		"an answer that is no JSON":         {call, body("application/json", "{"), "BAD_ANSWER", 1},
		"an answer to something else":       {call, body("application/json", `{"jsonrpc":"2.0","id":8,"result":{}}`), "BAD_ANSWER", 1},
		"an answer with two ids":            {call, body("application/json", `{"jsonrpc":"2.0","id":8,"id":7,"result":{}}`), "BAD_ANSWER", 1},
		"an answer that is too long":        {call, body("application/json", strings.Repeat(" ", 5000)), "BAD_ANSWER", 1},
		"an event that is too long":         {call, body("text/event-stream", "data: "+strings.Repeat(" ", 5000)), "BAD_ANSWER", 1},
		"a stream that ends early":          {call, body("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n"), "OUTCOME_UNKNOWN", 1},
		"a list whose stream ends early":    {list, body("text/event-stream", "id: 1\n\n"), "", 2},
		"a list whose stream ends underway": {list, body("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n"), "OUTCOME_UNKNOWN", 1},
		"an error without an id, in JSON": {call, func(w http.ResponseWriter, _ request) {
			w.WriteHeader(400)
			_, _ = fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}`)
		}, "", 1},
		"no answer at all": {list, func(_ http.ResponseWriter, _ request) {}, "BAD_ANSWER", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			f := &fake{call: func(w http.ResponseWriter, r request) {
				if asked.Add(1) == 1 {
					test.first(w, r)
					return
				}
				answer(w, r, `{}`)
			}}
			path := socketPath(t)
			serve(t, path, f)
			c := start(t, "unix://"+path, func(o *bridge.Options) { o.MaxAnswerBytes = 4096 })
			c.open()
			c.send(`{"jsonrpc":"2.0","id":7,"method":%q,"params":{"name":"a"}}`, test.method)
			l := c.next()
			if l.Method == "n" { // of a stream that was good so far
				l = c.next()
			}
			if string(l.ID) != "7" || l.code() != test.code || test.code != "" && l.Error.Data.Next == "" {
				t.Errorf("got %s", l.text)
			}
			if test.code == "OUTCOME_UNKNOWN" && test.method == call && !strings.Contains(l.Error.Message, "may have been carried out") {
				t.Errorf("not said that it may have been done: %s", l.text)
			}
			if int(asked.Load()) != test.asked {
				t.Errorf("asked %d times, want %d", asked.Load(), test.asked)
			}
			if err := c.ended(); (test.code == "KEY_REFUSED") != errors.Is(err, bridge.ErrKeyRefused) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestNever: a desk that is never there, or not to be trusted, is said in the
// answer and at the end. None of them sees the key.
func TestNever(t *testing.T) {
	listen := func(t *testing.T, path string, say func(net.Conn)) {
		t.Helper()
		ln, err := socket.Listen(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				say(conn)
				_ = conn.Close()
			}
		}()
		t.Cleanup(func() {
			_ = ln.Close()
			<-done
		})
	}
	silent := func(net.Conn) {}
	for name, test := range map[string]struct {
		make func(t *testing.T, path string) (server string)
		code string
		want error
	}{
		"no socket": {func(_ *testing.T, path string) string { return "unix://" + path }, "DESK_UNREACHABLE", bridge.ErrUnreachable},
		"nobody listens": {func(t *testing.T, path string) string {
			t.Helper()
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			ln.SetUnlinkOnClose(false)
			_ = ln.Close()
			return "unix://" + path
		}, "DESK_UNREACHABLE", bridge.ErrUnreachable},
		"turned away": {func(t *testing.T, path string) string {
			t.Helper()
			listen(t, path, silent)
			return "unix://" + path
		}, "USER_REFUSED", bridge.ErrTurnedAway},
		"a folder that all may write to": {func(t *testing.T, path string) string {
			t.Helper()
			listen(t, path, func(net.Conn) { t.Error("connected") })
			if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			return "unix://" + path
		}, "SOCKET_NOT_SAFE", vault.ErrLoosePermissions},
		"not a socket": {func(t *testing.T, path string) string {
			t.Helper()
			if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			return "unix://" + path
		}, "NO_SOCKET", socket.ErrPath},
		"no port": {func(t *testing.T, _ string) string {
			t.Helper()
			ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
			if err != nil {
				t.Fatal(err)
			}
			_ = ln.Close()
			return "https://" + ln.Addr().String()
		}, "DESK_UNREACHABLE", bridge.ErrUnreachable},
		"a certificate of nobody": {func(t *testing.T, _ string) string {
			t.Helper()
			return untrusted(t)
		}, "DESK_NOT_TRUSTED", bridge.ErrUntrusted},
		"no TLS": {func(t *testing.T, _ string) string {
			t.Helper()
			ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at the end
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = srv.Serve(ln)
			}()
			t.Cleanup(func() {
				_ = srv.Close()
				<-done
			})
			return "https://" + ln.Addr().String()
		}, "DESK_NOT_TRUSTED", bridge.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			server := test.make(t, socketPath(t))
			c := start(t, server, func(o *bridge.Options) { o.Patience = 200 * time.Millisecond })
			c.send(initialize)
			if l := c.next(); l.code() != test.code || string(l.ID) != `"hello"` || l.Error.Data.Next == "" || strings.Contains(l.text, key) {
				t.Errorf("got %s", l.text)
			}
			if err := c.ended(); !errors.Is(err, test.want) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
