package embedded

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// token returns the token of the file, or of the environment.
func (t *transit) token() (string, error) {
	text := ""
	switch {
	case t.tokenFile != "":
		data, err := private.ReadFile(t.tokenFile, maxTokenFile)
		if err != nil {
			return "", fmt.Errorf("%w: token-file: %w", vault.ErrKeyUnavailable, err)
		}
		text = strings.TrimSpace(string(data))
	case t.getenv != nil:
		for _, name := range []string{"BAO_TOKEN", "VAULT_TOKEN"} {
			if text = t.getenv(name); text != "" {
				break
			}
		}
	}
	if text == "" {
		return "", t.unavailable("there is no token; set BAO_TOKEN or VAULT_TOKEN, or name a token-file")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", t.unavailable("the token is not one line of plain characters")
	}
	return text, nil
}

// client returns a client that speaks to the one address, follows nothing and
// takes nothing from the environment.
func (t *transit) client() (*http.Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.caFile != "" {
		roots, err := readRoots(t.caFile)
		if err != nil {
			return nil, fmt.Errorf("%w: ca-file: %w", vault.ErrKeyUnavailable, err)
		}
		settings.RootCAs = roots
	}
	dialer := &net.Dialer{Timeout: transitWait}
	if t.address.Scheme == "http" { // "localhost" is what the resolver says it is
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
				return errNotLoopback
			}
			return nil
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: settings, TLSHandshakeTimeout: transitWait,
			ForceAttemptHTTP2: true, DisableKeepAlives: true, MaxResponseHeaderBytes: maxTransitBody,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       transitWait,
	}, nil
}

var errNotLoopback = errors.New("not a loopback address")

func readRoots(path string) (*x509.CertPool, error) {
	f, err := private.OpenOwned(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return roots, nil
}

func certificateError(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
