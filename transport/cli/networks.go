package cli

import (
	"fmt"
	"net/netip"
)

// networksOf reads a list of addresses and networks in a field of config.yaml.
func networksOf(field string, texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q is neither an address such as 10.0.0.2 nor a network such as 10.0.0.0/8", field, text)
		}
		all = append(all, p)
	}
	return all, nil
}
