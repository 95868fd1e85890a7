package cli

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// echo is an API that answers with everything it got, in several encodings.
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
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Echo", auth)
			_ = json.NewEncoder(w).Encode(map[string]string{
				"authorization": auth,
				"base64":        base64.StdEncoding.EncodeToString([]byte(key)),
				"hex":           hex.EncodeToString([]byte(key)),
			})
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
