package vault_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// TestApplyLeavesItsInput: what Put does is held by vaulttest; here that
// neither the change nor the metadata before it is touched or shared.
func TestApplyLeavesItsInput(t *testing.T) {
	change := func() vault.Change {
		return vault.Change{
			Value: secret.New([]byte("v")), Tags: &map[string]string{"b": "c"},
			Destinations: &[]vault.Destination{{HTTP: &vault.HTTPDestination{
				Scheme: "https", Host: "Example.com", Port: 443, Methods: []string{"POST", "GET"}, Paths: []vault.Glob{"/a"}, In: vault.Bearer,
			}}},
		}
	}
	before := func() vault.Metadata {
		return vault.Metadata{Path: "p", Tier: vault.Critical, Version: 3, Tags: map[string]string{"a": "b"}}
	}
	c, m := change(), before()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("x", 3600))
	got, err := c.Apply(m, now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != 4 || got.Path != "p" || got.Tier != vault.Critical || !got.CreatedAt.IsZero() || !got.UpdatedAt.Equal(now.Truncate(time.Microsecond)) || got.UpdatedAt.Location() != time.UTC {
		t.Errorf("got %+v", got)
	}
	if d := got.Destinations[0].HTTP; d.Host != "example.com" || d.Methods[0] != "GET" {
		t.Errorf("not normalised: %+v", d)
	}
	got.Tags["b"], got.Destinations[0].HTTP.Paths[0] = "spoilt", "/spoilt"
	want := change()
	want.Value, c.Value = secret.Value{}, secret.Value{} // functions do not compare
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the change became %+v", c)
	}
	if !reflect.DeepEqual(m, before()) {
		t.Errorf("the metadata became %+v", m)
	}
}
