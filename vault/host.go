package vault

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// ParseHost returns the one spelling of a host that coatcheck compares and
// dials: lower-case ASCII (IDNA 2008 lookup rules, so "bücher.example" becomes
// its xn-- form), no trailing dot, or the canonical text of an IP address
// without brackets. Names that a resolver might read as an address ("0x7f.1",
// "2130706433") are refused, and zones of IPv6 addresses too. The error is an
// *[InvalidError] of field "host".
func ParseHost(s string) (string, error) {
	if s == "" {
		return "", invalid("host", "is empty")
	}
	if literal, bracketed := strings.CutPrefix(s, "["); bracketed || strings.Contains(s, ":") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || addr.Zone() != "" || !addr.Is6() || bracketed != strings.HasSuffix(s, "]") {
			return "", invalid("host", "is not an IPv6 address")
		}
		return addr.String(), nil
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(s)
	if err != nil {
		return "", invalid("host", "is not a valid internet name")
	}
	ascii = strings.TrimSuffix(ascii, ".")
	if ascii == "" || len(ascii) > 253 {
		return "", invalid("host", "is not between 1 and 253 bytes long")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if !hostLabel(label) {
			return "", invalid("host", "has a label that is not 1 to 63 letters, digits and inner hyphens")
		}
	}
	// An all-digit or 0x last label makes some resolvers read an address.
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; numericLabel(last) {
		return "", invalid("host", "looks like an address in an unusual spelling")
	}
	return ascii, nil
}

func hostLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func numericLabel(label string) bool {
	digits := strings.TrimPrefix(label, "0x")
	hex := len(digits) != len(label)
	for i := range len(digits) {
		c := digits[i]
		if (c < '0' || c > '9') && (!hex || c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ParseHostPattern accepts a host, or "*.suffix" for every name below suffix.
// A suffix under which strangers register names ("com", "github.io") is
// refused; names without a public suffix ("corp.internal") are allowed.
func ParseHostPattern(s string) (string, error) {
	suffix, wild := strings.CutPrefix(s, "*.")
	if !wild {
		return ParseHost(s)
	}
	host, err := ParseHost(suffix)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", invalid("host", "has a star in front of an address")
	}
	if public, _ := publicsuffix.PublicSuffix(host); public == host {
		return "", invalid("host", "has a star in front of a public suffix")
	}
	return "*." + host, nil
}

// MatchHost reports whether a host from [ParseHost] is covered by a pattern
// from [ParseHostPattern]. "*.example.com" covers "a.example.com" and
// "a.b.example.com", not "example.com".
func MatchHost(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	if !wild {
		return pattern == host
	}
	return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}
