package client_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/client"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clientOf returns a client in edition A with a network of the test's.
func clientOf(t *testing.T, network transport, change ...func(*client.Options)) *client.Client {
	t.Helper()
	o := client.Options{AgentKey: text(key), BaseURL: "https://vault.example", Edition: client.EditionA, HTTPClient: &http.Client{Transport: network}}
	for _, f := range change {
		f(&o)
	}
	c, err := client.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func response(status int, body string, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// TestRetries has every call against every way to fail: how many attempts are
// made before it gives up, of 4 with the default options.
func TestRetries(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	type count struct{ broken, dial, s502, s503, s504, s429, s500, s401, s404 int }
	always := count{4, 4, 4, 4, 4, 4, 1, 1, 1}
	once := count{1, 4, 1, 1, 1, 4, 1, 1, 1}
	key1 := func(o *client.Options) { o.AgentKey = text("ast_tok_1") } // a token in the key's place
	for name, test := range map[string]struct {
		call   func(context.Context, *client.Client) error
		change []func(*client.Options)
		want   count
	}{
		"get": {func(ctx context.Context, c *client.Client) error { _, err := c.GetSecret(ctx, "a", nil); return err }, nil, always},
		"get with a token": {func(ctx context.Context, c *client.Client) error {
			_, err := c.GetSecret(ctx, "a", &client.GetOptions{Token: text("ast_tok_1")})
			return err
		}, nil, once},
		"get with a token as the key": {func(ctx context.Context, c *client.Client) error { _, err := c.GetSecret(ctx, "a", nil); return err }, []func(*client.Options){key1}, once},
		"set with a token as the key": {func(ctx context.Context, c *client.Client) error {
			_, err := c.SetSecret(ctx, "a", text("v"), nil)
			return err
		}, []func(*client.Options){key1}, once},
		"set": {func(ctx context.Context, c *client.Client) error {
			_, err := c.SetSecret(ctx, "a", text("v"), nil)
			return err
		}, nil, always},
		"list":     {func(ctx context.Context, c *client.Client) error { _, err := c.ListSecrets(ctx, "a", nil); return err }, nil, always},
		"versions": {func(ctx context.Context, c *client.Client) error { _, err := c.ListVersions(ctx, "a"); return err }, nil, always},
		"delete":   {func(ctx context.Context, c *client.Client) error { return c.DeleteSecret(ctx, "a", nil) }, nil, always},
		"revoke":   {func(ctx context.Context, c *client.Client) error { return c.RevokeToken(ctx, "tok_1") }, nil, always},
		"wait": {func(ctx context.Context, c *client.Client) error {
			_, err := c.WaitForApproval(ctx, "apr_1", nil)
			return err
		}, nil, always},
		"detect": {
			func(ctx context.Context, c *client.Client) error { _, err := c.GetSecret(ctx, "a", nil); return err },
			[]func(*client.Options){func(o *client.Options) { o.Edition = client.Detect }},
			count{4, 4, 4, 4, 4, 4, 1, 2, 2},
		}, // 401 and 404 tell the edition
		"token": {func(ctx context.Context, c *client.Client) error {
			_, err := c.RequestToken(ctx, client.TokenOptions{Scope: "*"})
			return err
		}, nil, once},
		"rotate": {func(ctx context.Context, c *client.Client) error {
			_, err := c.RotateSecret(ctx, "a", text("v"), nil)
			return err
		}, nil, once},
		"restore": {func(ctx context.Context, c *client.Client) error { _, err := c.RestoreSecret(ctx, "a"); return err }, nil, once},
		"import": {func(ctx context.Context, c *client.Client) error {
			_, err := c.ImportEnv(ctx, "a", text("A=b"), nil)
			return err
		}, nil, once},
		"not said":  {func(ctx context.Context, c *client.Client) error { _, err := c.GetSecret(ctx, "a", nil); return err }, []func(*client.Options){func(o *client.Options) { o.Retries = client.NoRetries }}, count{1, 1, 1, 1, 1, 1, 1, 1, 1}},
		"once more": {func(ctx context.Context, c *client.Client) error { _, err := c.GetSecret(ctx, "a", nil); return err }, []func(*client.Options){func(o *client.Options) { o.Retries = 1 }}, count{2, 2, 2, 2, 2, 2, 1, 1, 1}},
	} {
		for _, fault := range []struct {
			name   string
			err    error
			status int
			want   int
		}{
			{"broken", io.ErrUnexpectedEOF, 0, test.want.broken},
			{"dial", dial, 0, test.want.dial},
			{"502", nil, 502, test.want.s502},
			{"503", nil, 503, test.want.s503},
			{"504", nil, 504, test.want.s504},
			{"429", nil, 429, test.want.s429},
			{"500", nil, 500, test.want.s500},
			{"401", nil, 401, test.want.s401},
			{"404", nil, 404, test.want.s404},
		} {
			t.Run(name+"/"+fault.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					attempts := 0
					c := clientOf(t, func(r *http.Request) (*http.Response, error) {
						attempts++
						if r.Body != nil {
							if b, err := io.ReadAll(r.Body); err != nil || len(b) > 0 && b[0] != '{' {
								t.Errorf("attempt %d: body %q, %v", attempts, b, err)
							}
						}
						if fault.err != nil {
							return nil, fault.err
						}
						return response(fault.status, ""), nil
					}, test.change...)
					if err := test.call(t.Context(), c); err == nil {
						t.Error("no error")
					}
					if attempts != fault.want {
						t.Errorf("%d attempts, want %d", attempts, fault.want)
					}
				})
			})
		}
	}
}

// TestRetryThatHelps ends with the answer.
func TestRetryThatHelps(t *testing.T) {
	s := script(
		t, exchange{request: "GET /v1/secrets/a", status: 503}, exchange{request: "GET /v1/secrets/a", status: 429}, exchange{request: "GET /v1/secrets/a", status: 502},
		exchange{request: "GET /v1/secrets/a", answer: `{"value":"v"}`},
		exchange{request: "PUT /v1/secrets/a", body: `{"value":"w"}`, status: 504}, exchange{request: "PUT /v1/secrets/a", body: `{"value":"w"}`, answer: `{"version":2}`},
	)
	c := s.of()
	got, err := c.GetSecret(t.Context(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got.Value, "v")
	if _, err := c.SetSecret(t.Context(), "a", text("w"), nil); err != nil {
		t.Error(err)
	}
}

// TestDeletedBefore: what an attempt before may have deleted is deleted.
func TestDeletedBefore(t *testing.T) {
	gone := exchange{request: "DELETE /v1/secrets/a", status: 404}
	s := script(t, exchange{request: "DELETE /v1/secrets/a", status: 504}, gone, exchange{request: "DELETE /v1/secrets/a", status: 429}, gone, gone)
	c := s.of()
	if err := c.DeleteSecret(t.Context(), "a", nil); err != nil {
		t.Errorf("after 504: %v", err)
	}
	for _, after := range []string{"429", "nothing"} {
		if err := c.DeleteSecret(t.Context(), "a", nil); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("after %s: %v", after, err)
		}
	}
}

// pauses returns the time between the attempts that end with a status and a
// Retry-After.
func pauses(t *testing.T, answer func(attempt int) (status int, after string), change ...func(*client.Options)) (between []time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		attempt := 0
		c := clientOf(t, func(*http.Request) (*http.Response, error) {
			if attempt++; attempt > 1 {
				between = append(between, time.Since(last))
			}
			last = time.Now()
			status, after := answer(attempt)
			return response(status, `{"value":"v"}`, "Retry-After", after), nil
		}, change...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = c.GetSecret(ctx, "a", nil)
	})
	return between, err
}

func TestBackoff(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		between, _ := pauses(t, func(int) (int, string) { return 503, "" }, func(o *client.Options) { o.Retries = 8 })
		if len(between) != 8 {
			t.Fatalf("%v", between)
		}
		for i, d := range between {
			full := min(client.DefaultRetryDelay<<i, 30*time.Second)
			if d < full/2 || d > full {
				t.Errorf("pause %d is %v, want %v to %v", i, d, full/2, full)
			}
			seen[d] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d different pauses of 160: no jitter", len(seen))
	}
	// A delay without end stays bounded.
	between, _ := pauses(t, func(int) (int, string) { return 503, "" }, func(o *client.Options) { o.RetryDelay = 1<<63 - 1 })
	for _, d := range between {
		if d > 30*time.Second {
			t.Errorf("pause of %v", d)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	after := func(status int, text string) func(int) (int, string) {
		return func(attempt int) (int, string) {
			if attempt > 1 {
				return 200, ""
			}
			return status, text
		}
	}
	for _, status := range []int{429, 503} {
		for text, longest := range map[string]time.Duration{"20": 20 * time.Second, "60": time.Minute, "0": 500 * time.Millisecond, "x": 500 * time.Millisecond} {
			between, err := pauses(t, after(status, text))
			shortest := longest
			if longest < time.Second {
				shortest = longest / 2
			}
			if err != nil || len(between) != 1 || between[0] < shortest || between[0] > longest {
				t.Errorf("%d after %q: %v, %v", status, text, between, err)
			}
		}
		between, err := pauses(t, after(status, "61"))
		if between != nil || err == nil {
			t.Errorf("%d after 61 s: %v, %v", status, between, err)
		}
	}
	date := time.Date(2000, 1, 1, 0, 0, 20, 0, time.UTC).Format(http.TimeFormat) // synctest starts at midnight
	if between, err := pauses(t, after(429, date)); err != nil || !slices.Equal(between, []time.Duration{20 * time.Second}) {
		t.Errorf("after a date: %v, %v", between, err)
	}
}

// TestNoWaitBeyondTheContext: a wait that the context does not allow is not begun,
// and the answer is what the service said.
func TestNoWaitBeyondTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, func(*http.Request) (*http.Response, error) { return response(429, "", "Retry-After", "30"), nil })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.GetSecret(ctx, "a", nil)
		if wantKind(t, err, client.ErrRateLimit); time.Since(start) != 0 {
			t.Errorf("waited %v", time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, func(*http.Request) (*http.Response, error) { return response(429, "", "Retry-After", "30"), nil })
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		start := time.Now()
		if _, err := c.GetSecret(ctx, "a", nil); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// slow is a body that comes late.
type slow struct {
	ctx  context.Context
	wait time.Duration
}

func (s slow) Read([]byte) (int, error) {
	select {
	case <-time.After(s.wait):
		return 0, io.EOF
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}
func (slow) Close() error { return nil }

// TestTimeout holds one attempt, headers and body, to its time.
func TestTimeout(t *testing.T) {
	for name, network := range map[string]transport{
		"headers": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"body": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: slow{r.Context(), time.Hour}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for given, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Second: time.Second} {
					c := clientOf(t, network, func(o *client.Options) { o.Timeout, o.Retries = given, client.NoRetries })
					start := time.Now()
					_, err := c.GetSecret(t.Context(), "a", nil)
					if wantKind(t, err, client.ErrNetwork); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != want {
						t.Errorf("%v after %v, want %v", err, time.Since(start), want)
					}
				}
				start := time.Now()
				_, err := clientOf(t, network).GetSecret(t.Context(), "a", nil)
				if d := time.Since(start); !errors.Is(err, client.ErrNetwork) || d < 40*time.Second || d > 45*time.Second {
					t.Errorf("%v after %v", err, d)
				}
			})
		})
	}
}

// TestSingleUseReadOnABrokenConnection: net/http sends a GET again by itself
// when a connection that it used before breaks without an answer. The server may
// have acted on the first one, so a reading with a token is not sent again.
func TestSingleUseReadOnABrokenConnection(t *testing.T) {
	for name, test := range map[string]struct {
		opts *client.GetOptions
		want int32
	}{
		"token": {&client.GetOptions{Token: text("ast_tok_1")}, 2},
		"key":   {nil, 3}, // to show that the server of this test makes net/http do so
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			var requests atomic.Int32
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						defer func() { _ = conn.Close() }()
						r := bufio.NewReader(conn)
						for range 2 {
							if _, err := http.ReadRequest(r); err != nil {
								return
							}
							if requests.Add(1) == 2 {
								return // read, perhaps acted upon, and never answered
							}
							_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"value\":\"v\"}")
						}
					}()
				}
			}()
			c, err := client.New(&client.Options{AgentKey: text(key), BaseURL: "http://" + listener.Addr().String(), Edition: client.EditionA, Retries: client.NoRetries})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.GetSecret(t.Context(), "a", test.opts); err != nil {
				t.Fatal(err)
			}
			_, _ = c.GetSecret(t.Context(), "a", test.opts)
			if n := requests.Load(); n != test.want {
				t.Errorf("%d requests, want %d", n, test.want)
			}
		})
	}
}
