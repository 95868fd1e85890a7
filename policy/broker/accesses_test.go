package broker_test

import (
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestAccessedAt: a reading is told by itself and by what comes after it, until
// the secret is another one. Listing reads nothing.
func TestAccessedAt(t *testing.T) {
	f := newDesk(t, allowEverything)
	who := f.register(t, identity.NewAgent{Name: "claude"})
	f.put(t, "p/key", vault.Change{})
	f.put(t, "p/other", vault.Change{})
	told := func() (listed, described time.Time) {
		t.Helper()
		page, err := f.List(t.Context(), who, broker.ListRequest{})
		if err != nil || len(page.Items) != 2 || !page.Items[1].AccessedAt.IsZero() {
			t.Fatalf("%+v, %v", page, err)
		}
		meta, err := f.Describe(t.Context(), who, "p/key")
		if err != nil {
			t.Fatal(err)
		}
		return page.Items[0].AccessedAt, meta.AccessedAt
	}
	if listed, described := told(); !listed.IsZero() || !described.IsZero() {
		t.Errorf("before a reading: %v, %v", listed, described)
	}
	f.pass(time.Hour)
	s, err := f.Reveal(t.Context(), who, "p/key", vault.Latest)
	if err != nil || !s.AccessedAt.Equal(f.now()) {
		t.Fatalf("%v, %v", s.AccessedAt, err)
	}
	read := s.AccessedAt
	f.pass(time.Hour)
	if listed, described := told(); !listed.Equal(read) || !described.Equal(read) {
		t.Errorf("after a reading: %v, %v", listed, described)
	}
	if _, err := f.Delete(t.Context(), owner, "p/key", false); err != nil {
		t.Fatal(err)
	}
	f.put(t, "p/key", vault.Change{})
	if listed, described := told(); !listed.IsZero() || !described.IsZero() {
		t.Errorf("of another secret: %v, %v", listed, described)
	}
}
