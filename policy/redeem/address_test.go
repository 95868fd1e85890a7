package redeem_test

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// closedAddresses are refused unless a destination opens them.
func closedAddresses() []string {
	return []string{
		"10.0.0.0", "10.0.0.1", "10.10.0.21", "10.255.255.255",
		"100.64.0.0", "100.64.0.1", "100.100.0.1", "100.127.255.255",
		"127.0.0.0", "127.0.0.1", "127.0.0.53", "127.0.1.1", "127.1.2.3", "127.255.255.255",
		"169.254.0.0", "169.254.0.1", "169.254.1.1", "169.254.255.255",
		"172.16.0.0", "172.16.0.1", "172.17.0.1", "172.31.255.255",
		"192.0.0.0", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.255",
		"192.0.2.0", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1",
		"192.168.0.0", "192.168.0.1", "192.168.1.254", "192.168.255.255", "192.175.48.1",
		"198.18.0.0", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.7",
		"::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:192.168.0.1", "::ffff:100.64.0.1", // mapped: as IPv4
		"::1", "100::", "100::1", "2001:db8::", "2001:db8::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1",
		"fc00::", "fc00::1", "fd00::1", "fd12:3456:789a::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"fe80::", "fe80::1", "fe80::dead:beef", "febf::1", "fec0::1", "feff::1",
	}
}

// forbiddenAddresses are refused whatever a destination says.
func forbiddenAddresses() []string {
	return []string{
		"169.254.169.254", "169.254.169.253", "169.254.169.123", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23",
		"100.100.100.200", "168.63.129.16", "192.0.0.192",
		"fd00:ec2::254", "fd00:ec2::23", "fd00:ec2::253", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fe80::a9fe:a9fe",
		"0.0.0.0", "0.0.0.1", "0.1.2.3", "0.255.255.255",
		"224.0.0.0", "224.0.0.1", "224.0.0.251", "239.255.255.250", "240.0.0.1", "254.1.1.1", "255.255.255.255",
		"::", "::2", "::7f00:1", "::127.0.0.1", "::a9fe:a9fe", "::10.0.0.1", "::8.8.8.8", // compatible
		"::ffff:169.254.169.254", "::ffff:168.63.129.16", "::ffff:0.0.0.0", "::ffff:100.100.100.200", "::ffff:224.0.0.1", // mapped
		"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", // SIIT
		"64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::c0a8:1", "64:ff9b::a83f:8110", "64:ff9b::6464:64c8", "64:ff9b::", "64:ff9b::e000:1", // NAT64
		"64:ff9b:1::", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1::808:808", "64:ff9b:1:ffff::a00:1", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:2::1", "64:ff9b:0:1::808:808", // local NAT64
		"2002:a9fe:a9fe::", "2002:a9fe:a9fe::1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:1::1", "2002:808:808::1", // 6to4
		"2001::", "2001::1", "2001:0:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:808:808:0:0:5601:5601", // Teredo
		"2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:1ff::1", // protocol assignments
		"2606:4700::5efe:a00:1", "2606:4700::200:5efe:7f00:1", "2606:4700::5efe:a9fe:a9fe", "2a00:1:2:3:200:5efe:c0a8:1", // ISATAP
		"fe80::5efe:a9fe:a9fe", "fd00::5efe:7f00:1", "fe80::200:5efe:a00:1",
		"ff00::1", "ff02::1", "ff02::fb", "ff05::1:3", "ff0e::1",
		"1::1", "1fff::1", "4000::1", "5f00::1", "8000::1", "c000::1", "e000::1", "fb00::1", "fe00::1", "fe7f::1", // not global unicast
	}
}

func publicAddresses() []string {
	return []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.1", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"203.0.112.255", "203.0.114.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2003::1",
		"2400:cb00::1", "2606:4700:4700::1111", "2620:fe::fe", "2a00:1450:4001::1", "2606:4700::5efe:808:808", "3ffe::1",
	}
}

func TestRefusedBeforeConnecting(t *testing.T) {
	refused := append(closedAddresses(), forbiddenAddresses()...)
	if len(refused) < 120 {
		t.Fatalf("only %d addresses", len(refused))
	}
	for _, address := range refused {
		for _, answer := range [][]string{{address}, {"1.1.1.1", address}, {address, "2606:4700:4700::1111"}} {
			names := &resolver{addrs: answer}
			client := redeem.NewClient(&redeem.Options{Resolver: names, Control: func(_, to string, _ syscall.RawConn) error {
				t.Errorf("%v: a socket was about to connect to %s", answer, to)
				return syscall.ECONNREFUSED
			}})
			_, err := client.Do(t.Context(), "agent:test", prepare(t, redeem.Call{URL: "http://api.example.com/"}), nil, nil)
			if r := refusal(t, err); r.Code != redeem.CodeAddress || names.asked != 1 {
				t.Errorf("%v: %v, resolved %d times", answer, r, names.asked)
			}
		}
	}
}

// The second line, alone: the check of the socket itself.
func TestSocketCheck(t *testing.T) {
	target := vault.Target{Scheme: "http", Host: "api.example.com", Port: 80}
	for _, address := range append(closedAddresses(), forbiddenAddresses()...) {
		if redeem.CheckSocket(target, netip.AddrPortFrom(netip.MustParseAddr(address), 80).String()) == nil {
			t.Errorf("%s connects", address)
		}
	}
	for _, address := range []string{"8.8.8.8:81", "8.8.8.8", "", "[fe80::1%lo]:80", "api.example.com:80"} {
		if redeem.CheckSocket(target, address) == nil {
			t.Errorf("%s connects", address)
		}
	}
	if err := redeem.CheckSocket(target, "8.8.8.8:80"); err != nil {
		t.Error(err)
	}
}

func TestStandings(t *testing.T) {
	network := func(list ...string) (d vault.HTTPDestination) {
		d.Host = "api.example.com"
		for _, p := range list {
			d.Network = append(d.Network, netip.MustParsePrefix(p))
		}
		return d
	}
	everything := network("0.0.0.0/0", "::/0")
	for _, s := range publicAddresses() {
		a := netip.MustParseAddr(s)
		if !redeem.Admits(a, "api.example.com") || !redeem.Admits(a, "api.example.com", network()) {
			t.Errorf("%s is refused", s)
		}
	}
	for _, s := range closedAddresses() {
		a := netip.MustParseAddr(s)
		if redeem.Admits(a, "api.example.com") || redeem.Admits(a, "api.example.com", network()) || redeem.Admits(a, "api.example.com", everything, network()) {
			t.Errorf("%s is admitted", s)
		}
		if !redeem.Admits(a, "api.example.com", everything) {
			t.Errorf("%s is refused in spite of its network", s)
		}
		if host := a.Unmap().String(); !redeem.Admits(a, host, vault.HTTPDestination{Host: host}) || redeem.Admits(a, "other.example.com", vault.HTTPDestination{Host: host}) {
			t.Errorf("%s: naming it literally", s)
		}
	}
	for _, s := range forbiddenAddresses() {
		a := netip.MustParseAddr(s)
		if redeem.Admits(a, "api.example.com", everything) || redeem.Admits(a, a.String(), vault.HTTPDestination{Host: a.String()}) {
			t.Errorf("%s is admitted", s)
		}
	}
	local := vault.HTTPDestination{Host: "localhost"}
	for s, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "10.0.0.1": false, "8.8.8.8": false, "169.254.169.254": false, "0.0.0.0": false} {
		if redeem.Admits(netip.MustParseAddr(s), "localhost", local) != want {
			t.Errorf("localhost as %s", s)
		}
	}
	if redeem.Admits(netip.MustParseAddr("127.0.0.1"), "localhost") || redeem.Admits(netip.MustParseAddr("127.0.0.1"), "x.localhost", local) ||
		redeem.Admits(netip.MustParseAddr("fe80::1%eth0"), "x", everything) || redeem.Admits(netip.Addr{}, "x", everything) {
		t.Error("loopback without its name, or a broken address")
	}
}
