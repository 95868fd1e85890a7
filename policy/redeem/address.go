package redeem

import (
	"net/netip"
	"slices"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// standing says whether an address may be dialled.
type standing int

const (
	public    standing = iota // anybody's
	closed                    // only where a destination names it, or a network it is in
	forbidden                 // never
)

// The predicates of net/netip are not used: they call NAT64, 6to4, site-local,
// shared and metadata addresses neither private nor link-local. The tables
// follow the IANA special-purpose registries (RFC 6890); what stands in no row
// is public in IPv4 and, outside 2000::/3, forbidden in IPv6.
type row struct {
	prefix   string
	standing standing
}

func metadataRows() []row {
	return []row{
		{"169.254.169.254/32", forbidden}, // AWS, Google, Azure, OpenStack, DigitalOcean, Oracle, Hetzner
		{"169.254.169.0/24", forbidden},   // AWS resolver and clock
		{"169.254.170.0/24", forbidden},   // AWS container credentials
		{"169.254.42.42/32", forbidden},   // Scaleway
		{"169.254.0.23/32", forbidden},    // Tencent
		{"100.100.100.200/32", forbidden}, // Alibaba
		{"168.63.129.16/32", forbidden},   // Azure wire server
		{"192.0.0.192/32", forbidden},     // Oracle classic
		{"fd00:ec2::/32", forbidden},      // AWS
		{"fd20:ce::/32", forbidden},       // Google
		{"fd00:c1::/32", forbidden},       // Oracle
		{"fd00:42::42/128", forbidden},    // Scaleway
		{"fe80::a9fe:a9fe/128", forbidden},
	}
}

func specialRows() []row {
	return []row{
		{"0.0.0.0/8", forbidden},       // this network; Linux connects to itself
		{"10.0.0.0/8", closed},         // private
		{"100.64.0.0/10", closed},      // shared (carrier NAT)
		{"127.0.0.0/8", closed},        // loopback
		{"169.254.0.0/16", closed},     // link-local
		{"172.16.0.0/12", closed},      // private
		{"192.0.0.0/24", closed},       // protocol assignments
		{"192.0.2.0/24", closed},       // documentation
		{"192.31.196.0/24", closed},    // AS112
		{"192.52.193.0/24", closed},    // AMT
		{"192.88.99.0/24", closed},     // 6to4 relays
		{"192.168.0.0/16", closed},     // private
		{"192.175.48.0/24", closed},    // AS112
		{"198.18.0.0/15", closed},      // benchmarks
		{"198.51.100.0/24", closed},    // documentation
		{"203.0.113.0/24", closed},     // documentation
		{"224.0.0.0/4", forbidden},     // multicast
		{"240.0.0.0/4", forbidden},     // reserved, broadcast
		{"::1/128", closed},            // loopback
		{"::/96", forbidden},           // unspecified; IPv4-compatible
		{"64:ff9b:1::/48", forbidden},  // translation inside a network (RFC 8215)
		{"100::/64", closed},           // discard
		{"2001::/23", forbidden},       // protocol assignments, Teredo
		{"2001:db8::/32", closed},      // documentation
		{"2002::/16", forbidden},       // 6to4
		{"2620:4f:8000::/48", closed},  // AS112
		{"3fff::/20", closed},          // documentation
		{"fc00::/7", closed},           // unique local
		{"fe80::/10", closed},          // link-local
		{"fec0::/10", closed},          // site-local
		{"ff00::/8", forbidden},        // multicast
		{"64:ff9b::/96", public},       // NAT64: as the IPv4 address in it
		{"2000::/3", public},           // global unicast
		{"::ffff:0:0/96", forbidden},   // mapped; unmapped before it is looked up
		{"::ffff:0:0:0/96", forbidden}, // IPv4-translated (SIIT)
		{"::/0", forbidden},
	}
}

// table is the rows, parsed; the first row that holds an address decides.
type table struct {
	prefixes  []netip.Prefix
	standings []standing
}

func newTable() *table {
	t := &table{}
	for _, r := range slices.Concat(metadataRows(), specialRows()) {
		t.prefixes = append(t.prefixes, netip.MustParsePrefix(r.prefix))
		t.standings = append(t.standings, r.standing)
	}
	return t
}

// standing looks up a, which is unmapped. An IPv4 address that it leads to
// counts as well.
func (t *table) standing(a netip.Addr) standing {
	if !a.IsValid() || a.Zone() != "" {
		return forbidden
	}
	result := t.lookup(a)
	if inner, ok := embedded(a); ok && result != forbidden {
		if t.lookup(inner) != public {
			return forbidden
		}
	}
	return result
}

func (t *table) lookup(a netip.Addr) standing {
	for i, p := range t.prefixes {
		if p.Contains(a) {
			return t.standings[i]
		}
	}
	return public
}

// embedded returns the IPv4 address that a NAT64 or ISATAP address leads to.
// Other translated forms are forbidden whatever they embed.
func embedded(a netip.Addr) (netip.Addr, bool) {
	if a.Is4() {
		return netip.Addr{}, false
	}
	b := a.As16()
	nat64 := netip.PrefixFrom(netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b}), 96).Contains(a)
	isatap := b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe // RFC 5214 §6.1
	return netip.AddrFrom4([4]byte(b[12:])), nat64 || isatap
}

// admits reports whether a may be dialled for a request to host with these
// destinations: it is public, or every destination opens it.
func (t *table) admits(a netip.Addr, host string, destinations []vault.HTTPDestination) bool {
	a = a.Unmap()
	switch t.standing(a) {
	case public:
		return host != localhost
	case forbidden:
		return false
	case closed:
	}
	for _, d := range destinations {
		if !opens(d, a, host) {
			return false
		}
	}
	return len(destinations) > 0
}

const localhost = "localhost"

// opens reports whether d names a closed address: literally, as localhost, or
// by a network. A human wrote it there.
func opens(d vault.HTTPDestination, a netip.Addr, host string) bool {
	if d.Host == host {
		if literal, err := netip.ParseAddr(host); err == nil && literal.Unmap() == a {
			return true
		}
		if host == localhost && a.IsLoopback() {
			return true
		}
	}
	return slices.ContainsFunc(d.Network, func(p netip.Prefix) bool { return p.Contains(a) })
}
