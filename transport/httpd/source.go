package httpd

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// source is where a request comes from.
type source struct {
	// addr is the client's address, without port, zone and IPv4-in-IPv6; "" over
	// the unix socket, and when a trusted proxy does not tell.
	addr string
	// payer is whom failures and anonymous requests are charged to: the address;
	// of an IPv6 one its /64, which is what one customer has at least; over the
	// socket the user.
	payer string
}

// source finds out where r comes from.
func (s *Server) source(r *http.Request) source {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && c.local {
		return source{payer: c.user()}
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return source{} // an address is a label; no label is no reason to refuse
	}
	peer := bare(at.Addr())
	client := peer
	if s.trusts(peer) {
		client = s.forwardedFor(r.Header["X-Forwarded-For"], peer)
	}
	if !client.IsValid() {
		return source{payer: network(peer)}
	}
	return source{addr: client.String(), payer: network(client)}
}

// forwardedFor reads from the right, which is what our own proxy appended, past
// further trusted proxies, to the first address that is none: whoever is there
// can have made up all that stands left of it. What is no address, an empty
// entry included, was not told by a trusted proxy in a form to rely on; then the
// client is not known, rather than who the entry before says it is.
func (s *Server) forwardedFor(fields []string, peer netip.Addr) netip.Addr {
	if len(fields) == 0 {
		return peer // its own request
	}
	hops := strings.Split(strings.Join(fields, ","), ",")
	client := peer
	for _, text := range slices.Backward(hops) {
		hop, ok := parseHop(strings.Trim(text, " \t"))
		if !ok {
			return netip.Addr{}
		}
		if client = hop; !s.trusts(hop) {
			break
		}
	}
	return client
}

func (s *Server) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseHop reads an address as proxies write it: 192.0.2.1, 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1], [2001:db8::1]:80, each IPv6 one also with a zone.
func parseHop(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return bare(at.Addr()), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return netip.Addr{}, false
		}
		text = inner
	}
	a, err := netip.ParseAddr(text)
	return bare(a), err == nil
}

// bare is an address in the one form in which it is compared.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func network(a netip.Addr) string {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// user names who is at the other end of the unix socket.
func (c *conn) user() string {
	raw, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return ""
	}
	peer, err := socket.PeerOf(raw)
	if err != nil {
		return ""
	}
	return "user " + strconv.FormatUint(uint64(peer.UID), 10)
}

// checkProxies refuses what would trust everybody, or nobody by mistake.
func checkProxies(prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		if !p.IsValid() || p.Bits() == 0 || p != p.Masked() || p.Addr().Is4In6() {
			return fmt.Errorf("the trusted proxy %s is not an address or network such as 10.0.0.0/8 (no bits set beyond its length, no IPv4 in IPv6, and not everybody)", p)
		}
	}
	return nil
}
