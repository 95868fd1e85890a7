package mcp_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// sseDesk serves the SSE door to raw clients.
type sseDesk struct {
	*desk
	t    *testing.T
	url  string
	stop chan struct{} // close it: the server stops
	http *http.Client
}

func newSSE(t *testing.T, opts mcp.Options, more ...tools.Tool) *sseDesk {
	t.Helper()
	d := &sseDesk{desk: newDesk(opts, more...), t: t, stop: make(chan struct{}), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	s := httptest.NewServer(d.SSEHandler(byKey, func(*http.Request) <-chan struct{} { return d.stop }))
	d.url = s.URL
	t.Cleanup(s.Close)
	t.Cleanup(d.http.CloseIdleConnections)
	return d
}

// request sends one request as "one", with fields as web.do takes them.
func (d *sseDesk) request(ctx context.Context, method, target, body string, fields ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.url+target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer one")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if r.Header.Del(name); value != "" {
			for v := range strings.SplitSeq(value, "|") {
				r.Header.Add(name, v)
			}
		}
	}
	return d.http.Do(r)
}

// do is request for an answer that ends.
func (d *sseDesk) do(method, target, body string, fields ...string) answer {
	d.t.Helper()
	res, err := d.request(d.t.Context(), method, target, body, fields...)
	if err != nil {
		d.t.Error(err)
		return answer{}
	}
	text, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err != nil || closeErr != nil {
		d.t.Error(err, closeErr)
	}
	return answer{res.StatusCode, res.Header, strings.TrimSuffix(string(text), "\n")}
}

// events is a raw client's stream.
type events struct {
	*sseDesk
	from   *bufio.Reader
	to     string // the path and query to post to
	fields []string
	close  func() // goes away
}

// open opens a stream. It ends with the test.
func (d *sseDesk) open(fields ...string) *events {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.t.Context())) // else the server's Close would wait for it
	res, err := d.request(ctx, "GET", "/sse", "", fields...)                //nolint:bodyclose // events.close does
	if err != nil {
		cancel()
		d.t.Fatal(err)
	}
	e := &events{sseDesk: d, from: bufio.NewReader(res.Body), fields: fields, close: func() {
		cancel()
		_ = res.Body.Close()
	}}
	d.t.Cleanup(e.close)
	if kind := res.Header.Get("Content-Type"); res.StatusCode != 200 || kind != "text/event-stream" {
		d.t.Fatalf("%d %s", res.StatusCode, kind)
	}
	kind, to := e.event()
	u, err := url.Parse(to)
	if kind != "endpoint" || err != nil || u.IsAbs() || u.Host != "" || u.Path != "/messages" || len(u.Query().Get("sessionId")) != 26 {
		d.t.Fatalf("%s %s: %v", kind, to, err)
	}
	e.to = to
	return e
}

// event reads the next event, comments left out; both are "" at the end.
func (e *events) event() (kind, data string) {
	e.t.Helper()
	for {
		line, err := e.from.ReadString('\n')
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); {
		case err != nil:
			return "", ""
		case line == "\n" && data != "":
			return kind, data
		case name == "event":
			kind = value
		case name == "data":
			data += value
		}
	}
}

// read returns the next message.
func (e *events) read() string {
	e.t.Helper()
	kind, data := e.event()
	if kind != "message" {
		e.t.Errorf("an event of kind %q: %s", kind, data)
	}
	return data
}

// post sends messages, each of which is to be taken.
func (e *events) post(bodies ...string) {
	e.t.Helper()
	for _, body := range bodies {
		if a := e.do("POST", e.to, body, e.fields...); a.status != 202 || a.body != "" {
			e.t.Fatalf("%.200s: %d %s", body, a.status, a.body)
		}
	}
}
