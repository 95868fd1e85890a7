package cli

import (
	"fmt"
	"net/netip"
)

// proxiesOf reads trusted_proxies: addresses and networks.
func proxiesOf(texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address such as 10.0.0.2 nor a network such as 10.0.0.0/8", text)
		}
		all = append(all, p)
	}
	return all, nil
}
