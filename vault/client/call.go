package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const (
	maxAnswer = 64 << 20         // edition B lists everything in one answer
	maxDelay  = 30 * time.Second // of the backoff
	maxAsked  = time.Minute      // a longer Retry-After ends the call
)

// request is one call of the service.
type request struct {
	method, target string // below /v1, escaped
	query          url.Values
	body           any

	path   string         // of the secret, for errors
	scope  string         // what a token has to cover; "" when it takes the key in both editions
	token  secret.Value   // the caller's own token
	sent   []secret.Value // values in the body, which no error repeats
	open   bool           // takes no credential
	repeat bool           // doing it twice is doing it once
}

// answer is what the service said.
type answer struct {
	status int
	header http.Header
	body   []byte
	again  bool // an attempt before this one may have arrived
}

// do makes a call and decodes the answer into out, if there is to be one.
func (c *Client) do(ctx context.Context, e Edition, r *request, out any) (*answer, error) {
	a, err := c.authorised(ctx, e, r)
	if err != nil {
		return nil, err
	}
	if a.status < 200 || a.status > 299 {
		return nil, c.failure(r, a)
	}
	if pending := c.pending(r, a); pending != nil {
		return nil, pending
	}
	if out != nil && json.Unmarshal(a.body, out) != nil {
		return nil, badAnswer(a.status, "the answer is not the JSON it should be")
	}
	return a, nil
}

// authorised makes a call with the credential that the edition asks for.
func (c *Client) authorised(ctx context.Context, e Edition, r *request) (*answer, error) {
	if !r.token.IsZero() || r.scope == "" || e != EditionB {
		return c.send(ctx, r)
	}
	own := *r
	for {
		value, cached, err := c.scoped(ctx, r.scope)
		if err != nil {
			return nil, err
		}
		own.token = value
		a, err := c.transmit(ctx, &own, r.repeat)
		if err != nil || a.status != http.StatusUnauthorized {
			return a, err
		}
		if c.tokens.drop(r.scope); !cached {
			return a, nil
		}
	}
}

// send makes a call with the caller's token or the key. What may have used up a
// token is not repeated.
func (c *Client) send(ctx context.Context, r *request) (*answer, error) {
	counted := !r.token.IsZero() || bytes.HasPrefix(c.key.Reveal(), []byte("ast_tok_"))
	return c.transmit(ctx, r, r.repeat && (r.open || !counted))
}

// transmit makes attempts until there is an answer that trying again would not
// better. repeat says that a second attempt does no harm when the first may have
// arrived; without it only what was surely not carried out is tried again.
func (c *Client) transmit(ctx context.Context, r *request, repeat bool) (*answer, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, invalid("request", "is no JSON")
		}
		defer clear(body)
	}
	arrived := false
	for attempt := 0; ; attempt++ {
		a, err := c.once(ctx, r, body, repeat)
		wait, more := c.delay(attempt), false
		switch {
		case err != nil && (ctx.Err() != nil || !errors.Is(err, ErrNetwork)):
			return nil, err
		case err != nil:
			more = repeat || neverSent(err)
			arrived = arrived || !neverSent(err)
		case a.status == http.StatusTooManyRequests:
			more = true
		case a.status == http.StatusBadGateway || a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout:
			more = repeat
			arrived = true
		}
		if a != nil {
			a.again = arrived
			wait = max(wait, retryAfter(a.header))
		}
		if !more || attempt >= c.retries || wait > maxAsked || !pause(ctx, wait) {
			return a, err
		}
	}
}

// once makes one attempt and reads the whole answer.
func (c *Client) once(ctx context.Context, r *request, body []byte, repeat bool) (*answer, error) {
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := c.base + r.target
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var reader io.Reader
	switch {
	case body != nil:
		reader = bytes.NewReader(body)
	case !repeat && r.method == http.MethodGet:
		// When a connection breaks that it used before, net/http sends a GET again
		// by itself, unless it has a body that cannot be had again.
		reader = io.NopCloser(http.NoBody)
	}
	req, err := http.NewRequestWithContext(attempt, r.method, target, reader)
	if err != nil {
		return nil, invalid("path", "makes no URL")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "coatcheck-client")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !r.open {
		req.Header.Set("Authorization", "Bearer "+string(c.credential(r).Reveal()))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.noAnswer(ctx, attempt, r, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, c.noAnswer(ctx, attempt, r, err)
	}
	if len(data) > maxAnswer {
		return nil, &Error{Code: CodeTooLarge, Message: "the answer is longer than 64 MiB", StatusCode: resp.StatusCode}
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: data}, nil
}

func (c *Client) credential(r *request) secret.Value {
	if r.token.IsZero() {
		return c.key
	}
	return r.token
}

// noAnswer turns what net/http says into a *NetworkError whose text is fit to be
// shown: it may quote what the other side sent.
func (c *Client) noAnswer(ctx, attempt context.Context, r *request, err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	switch {
	case ctx.Err() != nil:
		return network(ctx.Err())
	case attempt.Err() != nil:
		return network(fmt.Errorf("no answer within %s: %w", c.timeout, context.DeadlineExceeded))
	}
	return network(&shown{c.clean(r, err.Error(), maxMessage, "the connection failed"), err})
}

// shown is an error under a text that is fit to be shown.
type shown struct {
	text string
	err  error
}

func (s *shown) Error() string { return s.text }
func (s *shown) Unwrap() error { return s.err }

// neverSent reports whether there was no connection to send anything on.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// delay returns how long to wait before the retry after so many attempts.
func (c *Client) delay(attempt int) time.Duration {
	d := min(c.retryDelay, maxDelay)
	for range attempt {
		d = min(2*d, maxDelay)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // clients that failed together need not come back together; nobody gains by guessing when
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110 §10.2.3).
// It returns 0 when there is none that can be read.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(time.Duration(max(seconds, 0)), 1<<30) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// pause waits and reports whether the call may go on: it may not when its
// context ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
