package cli

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// disguise is a form in which the echo API answers with the key.
type disguise struct {
	name  string
	write func(key string) string
	shown string // what the form of a key that starts with "demo-" starts with
}

func disguises() []disguise {
	each := func(format string) func(string) string {
		return func(key string) string {
			var b strings.Builder
			for _, c := range []byte(key) {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
	}
	toHex := func(key string) string { return hex.EncodeToString([]byte(key)) }
	toBase64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return []disguise{
		{"as it is", func(key string) string { return key }, `demo-…`},
		{"percent", each("%%%02x"), `%64%65%6d%6f%2d…`},
		{"JSON", each(`\u%04x`), `\u0064\u0065\u006d\u006f\u002d…`},
		{"HTML", each("&#%d;"), `&#100;&#101;&#109;&#111;&#45;…`},
		{"UTF-16", each("%c\x00"), `d.e.m.o.-.…`},
		{"hex", toHex, `64656d6f2d…`},
		{"base32", func(key string) string { return base32.StdEncoding.EncodeToString([]byte(key)) }, `MRSW23ZN…`},
		{"base64 of user:key", func(key string) string { return toBase64("user:" + key) }, `dXNlcjpkZW1vL…`},
		{"base64 of hex", func(key string) string { return toBase64(toHex(key)) }, `NjQ2NTZkNmYyZ…`},
		{"reversed", func(key string) string {
			b := []byte(key)
			slices.Reverse(b)
			return string(b)
		}, `…-omed`},
	}
}

// echo is an API that answers with the key it got, in ten disguises.
type echo struct {
	address string
	stop    func()
	mu      sync.Mutex
	auth    string
}

func (e *echo) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.auth
}

func startEcho(ctx context.Context) (*echo, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &echo{address: listener.Addr().String()}
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			auth := r.Header.Get("Authorization")
			e.mu.Lock()
			e.auth = auth
			e.mu.Unlock()
			key := strings.TrimPrefix(auth, "Bearer ")
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Echo", auth)
			for _, d := range disguises() {
				_, _ = io.WriteString(w, d.name+": "+d.write(key)+"\n")
			}
		}),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(listener)
	}()
	e.stop = func() {
		_ = server.Close()
		<-stopped
	}
	return e, nil
}
