package rest_test

import (
	"fmt"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// TestMeCountsToTenThousand secrets and no further, of those that the caller may
// list, as the document says.
func TestMeCountsToTenThousand(t *testing.T) {
	d := newDesk(t, programs)
	count := func(who string) any { t.Helper(); return d.send(t, who, "GET /v1/me", "").fields(t)["secret_count"] }
	fill := func(prefix string, n int) {
		t.Helper()
		var r broker.ImportRequest
		for i := range n {
			r.Items = append(r.Items, broker.ImportItem{Path: vault.Path(fmt.Sprintf("%s/%05d", prefix, i)), Change: vault.Change{Value: secret.New([]byte("v"))}})
		}
		if _, err := d.Import(t.Context(), identity.OwnerCLI(), r); err != nil {
			t.Fatal(err)
		}
	}
	fill("app/a", 3)
	fill("other", 2) // no rule lets the program list these
	token, _ := d.send(t, "program", "POST /v1/tokens", `{"scope":"secrets:read:app/a/*"}`).fields(t)["token"].(string)
	for who, want := range map[string]float64{"program": 3, "ada": 5, "stranger": 0, token: 0} {
		if got := count(who); got != want {
			t.Errorf("%v secrets, want %v", got, want)
		}
	}
	fill("app/b", broker.MaxImport)
	for _, who := range []string{"program", "ada"} {
		if got := count(who); got != 10_000.0 {
			t.Errorf("%s: %v secrets", who, got)
		}
	}
}
