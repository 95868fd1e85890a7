package redeem

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Endpoint is where the desk sends messages of its own: a URL that a human wrote
// into the configuration, in canonical form. The zero Endpoint is nowhere.
type Endpoint struct {
	target      vault.Target
	query       string
	destination vault.HTTPDestination
}

// ParseEndpoint reads the URL of an endpoint: https, or http to an address of
// this machine that it names. Its host may be in a network that is not public if
// the URL names the address or localhost, as with a secret's destination, or if
// it is in one of network. Error: *[Refusal].
func ParseEndpoint(rawURL string, network []netip.Prefix) (Endpoint, error) {
	target, query, err := parseURL(rawURL)
	if err != nil {
		return Endpoint{}, err
	}
	if target.Scheme == "http" && !here(target.Host) {
		return Endpoint{}, refuse(CodeURL, "The URL is plain http to another machine.", "Use https.")
	}
	target.Method = http.MethodPost
	e := Endpoint{target: target, query: query, destination: vault.HTTPDestination{
		Scheme: target.Scheme, Host: target.Host, Port: target.Port, Network: network,
	}}
	if a, err := netip.ParseAddr(target.Host); err == nil && !newTable().admits(a, target.Host, []vault.HTTPDestination{e.destination}) {
		return Endpoint{}, refuse(CodeAddress, "The URL has an address that nothing is ever sent to.", "Use another one.")
	}
	return e, nil
}

// here reports whether a host names this machine.
func here(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == localhost || err == nil && a.Unmap().IsLoopback()
}

// Origin is scheme, host and port: what may be shown of an endpoint whose path
// and query give access.
func (e Endpoint) Origin() string { return e.target.Origin() }

// URL is the whole endpoint in canonical form.
func (e Endpoint) URL() string { return (&Prepared{target: e.target, query: e.query}).URL() }

// Post sends a message of the desk's own, on connections kept for principal
// alone, and returns status and header of the answer, whose body is not read. No
// handle is looked for and no value put in; addresses are guarded as in
// [Client.Do], no redirect is followed. It blocks until the answer's header is
// there, or ctx ends or [Options.Timeout] passed. Errors: *[Refusal], nothing was
// sent; *[Upstream], something may have been sent.
func (c *Client) Post(ctx context.Context, principal string, to Endpoint, header []Field, body []byte) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	p := &Prepared{target: to.target}
	request, err := p.request(ctx, filled{query: to.query, headers: header, body: string(body)})
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, principal, to.target, []vault.HTTPDestination{to.destination}, request, func(answer *http.Response) (*Response, error) {
		if answer.StatusCode < 200 || answer.StatusCode > 599 {
			return nil, &Upstream{Code: CodeMalformed}
		}
		return &Response{Status: answer.StatusCode, Headers: headers(answer.Header)}, nil
	})
}
