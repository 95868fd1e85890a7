package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Edition is what a service speaks (CONTRACT §0).
type Edition int

// The editions.
const (
	// Detect asks the service once, before the first call that depends on it:
	// GET /health, without a credential. Edition A knew no such route; coatcheck
	// names itself there; whatever else answers is edition B. Nothing is learned
	// from a service that does not answer.
	Detect Edition = iota
	// EditionA is the seed's service, and coatcheck: the key itself reads and
	// writes, and a path is one segment of a URL.
	EditionA
	// EditionB is the service of the packages published as 1.0.0: the key does
	// nothing but ask for scoped tokens, and a path is a namespace and a key.
	EditionB
)

// String returns "detect", "A" or "B".
func (e Edition) String() string {
	switch e {
	case Detect:
		return "detect"
	case EditionA:
		return "A"
	case EditionB:
		return "B"
	}
	return "unknown"
}

// service is how coatcheck calls itself in the answer of /health.
const service = "coatcheck"

// spoken returns the edition of the service, EditionA or EditionB.
func (c *Client) spoken(ctx context.Context) (Edition, error) {
	if e := Edition(c.edition.Load()); e != Detect {
		return e, nil
	}
	a, err := c.send(ctx, &request{method: http.MethodGet, target: "/health", open: true, repeat: true})
	if err != nil {
		return Detect, err
	}
	found := EditionB
	var health struct {
		Service string `json:"service"`
	}
	switch {
	case a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		found = EditionA
	case a.status != http.StatusOK:
		return Detect, c.failure(&request{}, a)
	case json.Unmarshal(a.body, &health) == nil && health.Service == service:
		found = EditionA
	}
	c.edition.Store(int32(found))
	return found, nil
}

// secretTarget returns the way to one secret.
func secretTarget(e Edition, path string) string {
	if namespace, key := split(path); e == EditionB {
		return "/secrets/" + url.PathEscape(namespace) + "/" + url.PathEscape(key)
	}
	return "/secrets/" + url.PathEscape(path)
}

// about checks a path and returns the edition that it is to be sent in.
func (c *Client) about(ctx context.Context, path string) (Edition, error) {
	if err := checkPath("path", path); err != nil {
		return Detect, err
	}
	e, err := c.spoken(ctx)
	if namespace, _ := split(path); err == nil && e == EditionB && namespace == "" {
		return Detect, invalid("path", "has no namespace, which this service needs")
	}
	return e, err
}
