package identity_test

import (
	"slices"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestParseAddrs(t *testing.T) {
	for in, form := range map[string]string{
		"10.0.1.50": "10.0.1.50/32", "10.9.9.9/8": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0", "2001:DB8::1": "2001:db8::1/128",
		"2001:db8:1::/32": "2001:db8::/32", "::/0": "::/0", "::ffff:10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.0/104": "10.0.0.0/8",
	} {
		got, err := identity.ParseAddrs([]string{in})
		if err != nil || len(got) != 1 || got[0].String() != form {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{
		"", "10.0.0", "10.0.0.1:80", "[::1]", "::1]", "010.0.0.1", "10.0.0.1/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/08", "fe80::1%eth0",
		"fe80::%eth0/10", "::ffff:0:0/90", "localhost", "*", "10.0.0.*", "10.0.0.1-10.0.0.9", " 10.0.0.1", "10.0.0.1\n10.0.0.2",
	} {
		_, err := identity.ParseAddrs([]string{"10.0.0.1", bad})
		invalid(t, bad, err, "address", bad)
	}
	if _, err := identity.ParseAddrs(slices.Repeat([]string{"10.0.0.1"}, identity.MaxAddrs)); err != nil {
		t.Error(err)
	}
	_, err := identity.ParseAddrs(slices.Repeat([]string{"10.0.0.1"}, identity.MaxAddrs+1))
	invalid(t, "too many", err, "address", "")
}

// TestAddresses: from where a token is taken.
func TestAddresses(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		for _, test := range []struct {
			list      []string
			good, bad []string
		}{
			{nil, []string{"", "10.0.0.1", "::1", "nonsense"}, nil},
			{[]string{"10.0.1.50"}, []string{"10.0.1.50", "::ffff:10.0.1.50"}, []string{"10.0.1.51", "", "::10.0.1.50", "10.0.1.50:1", "10.0.1.50 ", "0x0a000132", "@"}},
			{[]string{"10.0.0.0/8"}, []string{"10.255.0.1", "::ffff:a00:1"}, []string{"11.0.0.1", "::1", "64:ff9b::a00:1"}},
			{[]string{"2001:db8::/32"}, []string{"2001:db8::1", "2001:db8:ffff::", "2001:db8::1%eth0"}, []string{"2001:db9::1", "10.0.0.1"}},
			{[]string{"::/0"}, []string{"::1", "2001:db8::1"}, []string{"10.0.0.1", "::ffff:10.0.0.1"}},
			{[]string{"0.0.0.0/0"}, []string{"10.0.0.1", "::ffff:10.0.0.1"}, []string{"::1"}},
			{[]string{"192.0.2.1", "2001:db8::1", "198.51.100.0/24"}, []string{"198.51.100.7", "192.0.2.1", "2001:db8::1"}, []string{"192.0.2.2", "2001:db8::2"}},
		} {
			spec := plain(t)
			var err error
			spec.Addrs, err = identity.ParseAddrs(test.list)
			want(t, "parse", err, nil)
			text, _ := issue(t, tx, s, spec)
			for _, addr := range test.good {
				_, err := s.ByCredential(tx, text, addr, noon)
				want(t, addr, err, nil)
			}
			for _, addr := range test.bad {
				_, err := s.ByCredential(tx, text, addr, noon)
				want(t, addr, err, identity.ErrUnauthenticated)
			}
		}
	})
}
