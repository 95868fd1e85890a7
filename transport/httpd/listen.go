package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// listenAddr reads Config.Listen. Names other than localhost are refused: what
// they lead to is decided elsewhere, and so would be whether keys travel in
// clear text.
func listenAddr(listen string) (netip.AddrPort, error) {
	if listen == "" {
		listen = DefaultListen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return netip.AddrPort{}, errors.New("the listen address is not ADDRESS:PORT")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, errors.New("the listen port is not a number from 0 to 65535")
	}
	if host == "" || asciiLower(host) == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, errors.New("the listen address is neither an IP address nor localhost")
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// listen binds the socket, with TLS when there is a certificate.
func listen(cfg Config, conns *connections) (ln net.Listener, secure bool, err error) {
	at, err := listenAddr(cfg.Listen)
	if err != nil {
		return nil, false, err
	}
	var conf *tls.Config
	switch {
	case cfg.CertFile != "" && cfg.KeyFile != "":
		cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, false, fmt.Errorf("load the TLS certificate: %w", err)
		}
		conf = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	case cfg.CertFile != "" || cfg.KeyFile != "":
		return nil, false, errors.New("TLS needs a certificate file and a key file")
	case !at.Addr().IsLoopback() && !cfg.InsecureListen:
		return nil, false, fmt.Errorf("listen on %s without TLS: %w", at, ErrInsecureListen)
	}
	raw, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", at.String())
	if err != nil {
		return nil, false, err
	}
	ln = &listener{Listener: raw, conns: conns}
	if conf != nil {
		return tls.NewListener(ln, conf), true, nil
	}
	return ln, false, nil
}
