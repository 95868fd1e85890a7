package redeem

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const (
	dialTimeout  = 10 * time.Second
	maxAddresses = 16 // of one host; the rest is not tried
)

// guard dials for one [line]. It resolves the host once, refuses it when any of
// its addresses may not be dialled, and checks the address of every socket again
// just before it connects.
type guard struct {
	table        *table
	resolver     Resolver
	control      func(network, address string, c syscall.RawConn) error
	target       vault.Target
	destinations []vault.HTTPDestination

	addrs []netip.Addr // of resolve; never changed after it
}

// dial connects, after resolve.
func (g *guard) dial(ctx context.Context) (net.Conn, error) {
	for i, a := range g.addrs {
		conn, err := g.connect(ctx, a, len(g.addrs)-i)
		if err == nil {
			return conn, nil
		}
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return nil, refusal
		}
	}
	return nil, failed(ctx, CodeConnect)
}

// connect tries one address for its share of the time left.
func (g *guard) connect(ctx context.Context, a netip.Addr, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(left), time.Second))
		defer cancel()
	}
	dialer := net.Dialer{Control: g.check, KeepAlive: -1}
	return dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(a, uint16(g.target.Port)).String()) //nolint:gosec // a Target's port is 1 to 65535
}

// resolve finds the addresses to dial, all of them checked.
func (g *guard) resolve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := g.lookup(ctx)
	if err != nil || len(addrs) == 0 {
		return failed(ctx, CodeDNS)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if !g.table.admits(a, g.target.Host, g.destinations) {
			return addressRefused()
		}
	}
	g.addrs = addrs[:min(len(addrs), maxAddresses)]
	return nil
}

func (g *guard) lookup(ctx context.Context) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(g.target.Host); err == nil {
		return []netip.Addr{a}, nil
	}
	if g.target.Host == localhost { // RFC 6761 §6.3: not a resolver's to answer
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", g.target.Host)
	return append([]netip.Addr(nil), addrs...), err
}

// check is the socket's Control: the last look at the address that is really
// dialled.
func (g *guard) check(network, address string, c syscall.RawConn) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != strconv.Itoa(g.target.Port) {
		return addressRefused()
	}
	a, err := netip.ParseAddr(host)
	if err != nil || !g.table.admits(a, g.target.Host, g.destinations) {
		return addressRefused()
	}
	if g.control != nil {
		return g.control(network, address, c)
	}
	return nil
}

func addressRefused() *Refusal {
	return refuse(CodeAddress, "The host leads to an address that is not on the public internet.",
		"If that is meant, a human adds the address or its network to the destination.")
}

// failed says timeout or canceled where that is why, else code.
func failed(ctx context.Context, code string) *Upstream {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		code = CodeCanceled
	case ctx.Err() != nil:
		code = CodeTimeout
	}
	return &Upstream{Code: code}
}
