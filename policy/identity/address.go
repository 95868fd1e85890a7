package identity

import (
	"net/netip"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// MaxAddrs is how many addresses and networks a token may be limited to.
const MaxAddrs = 50

// ParseAddrs reads up to [MaxAddrs] addresses and networks: "10.0.1.50",
// "10.0.0.0/8", "2001:db8::/32". What an IPv6 address maps of IPv4 is written as
// IPv4. The error is a *[vault.InvalidError] of field "address".
func ParseAddrs(texts []string) ([]netip.Prefix, error) {
	if len(texts) > MaxAddrs {
		return nil, tooManyAddrs()
	}
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if !strings.Contains(text, "/") {
			var one netip.Addr
			one, err = netip.ParseAddr(text)
			p = netip.PrefixFrom(one.WithZone(""), one.BitLen())
			if one.Zone() != "" {
				return nil, &vault.InvalidError{Field: "address", Rule: "has a zone"}
			}
		}
		if err != nil {
			return nil, &vault.InvalidError{Field: "address", Rule: "is not an IP address or a network such as 10.0.0.0/8"}
		}
		if p, err = canonical(p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func tooManyAddrs() error {
	return &vault.InvalidError{Field: "address", Rule: "has more than 50 entries"}
}

// canonical writes a network in one way, that of the addresses it is asked about.
func canonical(p netip.Prefix) (netip.Prefix, error) {
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, &vault.InvalidError{Field: "address", Rule: "is a network of IPv4 and IPv6 addresses at once"}
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if !p.IsValid() {
		return p, &vault.InvalidError{Field: "address", Rule: "is not an IP address or a network"}
	}
	return p.Masked(), nil
}

// addrText is how a list of networks is stored: one a line.
func addrText(addrs []netip.Prefix) (string, error) {
	if len(addrs) > MaxAddrs {
		return "", tooManyAddrs()
	}
	var lines []string
	for _, p := range addrs {
		p, err := canonical(p)
		if err != nil {
			return "", err
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n"), nil
}

// addrsOf reads what addrText wrote. A line that is no network is left out.
func addrsOf(text string) (all []netip.Prefix) {
	for line := range strings.Lines(text) {
		if p, err := netip.ParsePrefix(strings.TrimSuffix(line, "\n")); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// fromThere reports whether an address is in one of the networks of a stored
// list. An empty list has every address; another one none that is not known.
func fromThere(list, addr string) bool {
	if list == "" {
		return true
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for rest := list; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if p, err := netip.ParsePrefix(line); err == nil && p.Contains(ip) {
			return true
		}
	}
	return false
}
