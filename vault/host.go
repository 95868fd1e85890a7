package vault

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// ParseHost returns the one spelling of a host that coatcheck compares and
// dials: a lower-case ASCII name without trailing dot, or the canonical text of
// an IP address without brackets. A name in another script becomes its xn-- form
// by the lookup rules of IDNA 2008 ("bücher.example"). Refused are labels that
// mix scripts, names that a resolver might read as an address ("0x7f.1",
// "2130706433"), and zones of IPv6 addresses. An IPv4 address inside an IPv6
// one becomes the former. The error is an *[InvalidError] of field "host".
func ParseHost(s string) (string, error) {
	if s == "" {
		return "", invalid("host", "is empty")
	}
	if literal, bracketed := strings.CutPrefix(s, "["); bracketed || strings.Contains(s, ":") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || addr.Zone() != "" || !addr.Is6() || bracketed != strings.HasSuffix(s, "]") {
			return "", invalid("host", "is not an IPv6 address")
		}
		return addr.Unmap().String(), nil
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.String(), nil
	}
	name, err := asciiName(s)
	if err != nil {
		return "", err
	}
	if name = strings.TrimSuffix(name, "."); name == "" || len(name) > 253 {
		return "", invalid("host", "is not between 1 and 253 bytes long")
	}
	for label := range strings.SplitSeq(name, ".") {
		if !hostLabel(label) {
			return "", invalid("host", "has a label that is not 1 to 63 letters, digits, underscores and inner hyphens")
		}
	}
	// An all-digit or 0x last label makes some resolvers read an address.
	if last := name[strings.LastIndexByte(name, '.')+1:]; numericLabel(last) {
		return "", invalid("host", "looks like an address in an unusual spelling")
	}
	return name, nil
}

// asciiName lower-cases a plain name and leaves the rest to IDNA, whose rules
// would refuse plain names that exist ("a_b.internal", "r3---sn.example.com").
func asciiName(s string) (string, error) {
	plain := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
	if lower := strings.ToLower(s); plain && !strings.HasPrefix(lower, "xn--") && !strings.Contains(lower, ".xn--") {
		return lower, nil
	}
	ascii, err := idna.Lookup.ToASCII(s)
	if err != nil {
		return "", invalid("host", "is not a valid internet name")
	}
	shown, err := idna.Lookup.ToUnicode(ascii)
	if err != nil {
		return "", invalid("host", "is not a valid internet name")
	}
	for label := range strings.SplitSeq(shown, ".") {
		if mixesScripts(label) {
			return "", invalid("host", "has a label that mixes scripts")
		}
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
	pattern, err := ParseWideHostPattern(s)
	if err != nil {
		return "", err
	}
	host, wild := strings.CutPrefix(pattern, "*.")
	if !wild {
		return pattern, nil
	}
	// With a label in front, because some suffixes are rules like "*.ck".
	if public, _ := publicsuffix.PublicSuffix("x." + host); len(public) >= len(host) {
		return "", invalid("host", "has a star in front of a public suffix")
	}
	return pattern, nil
}

// ParseWideHostPattern is [ParseHostPattern] with any suffix behind the star,
// "*.com" too. It is for patterns that refuse: there, wide is the safe side.
func ParseWideHostPattern(s string) (string, error) {
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
	return "*." + host, nil
}

// MatchHost reports whether a host from [ParseHost] is covered by a pattern
// from [ParseHostPattern]. "*.example.com" covers "a.example.com" and
// "a.b.example.com", not "example.com". A star reaches across no public suffix:
// "*.amazonaws.com" does not cover "bucket.s3.amazonaws.com".
func MatchHost(pattern, host string) bool {
	if !MatchHostWide(pattern, host) {
		return false
	}
	suffix, wild := strings.CutPrefix(pattern, "*.")
	if !wild {
		return true
	}
	public, _ := publicsuffix.PublicSuffix(host)
	return len(public) < len(suffix)
}

// MatchHostWide is [MatchHost] with a star that covers every name below the
// suffix, whoever may have registered it. It is for patterns that refuse.
func MatchHostWide(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	if !wild {
		return pattern == host
	}
	return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}
