package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// TestWholeNamespace: a list by path is everything, however many pages the vault
// makes of it, also beside secrets that the caller may not see.
func TestWholeNamespace(t *testing.T) {
	d := newDesk(t, programs+`
  - name: not these
    agents: [program]
    doors: [rest]
    paths: ["app/many/hidden*"]
    deny: [list]
`)
	const n = 450
	var items []broker.ImportItem
	for i := range n {
		for _, name := range []string{"hidden", "key"} {
			items = append(items, broker.ImportItem{Path: vault.Path(fmt.Sprintf("app/many/%s-%03d", name, i)), Change: vault.Change{Value: secret.New([]byte("v"))}})
		}
	}
	_, err := d.Import(t.Context(), identity.OwnerCLI(), broker.ImportRequest{Items: items})
	must(t, err)
	got := d.send(t, "program", "GET /v1/secrets/app/many", "").fields(t)["items"].([]any)
	if len(got) != n {
		t.Fatalf("%d of %d", len(got), n)
	}
	for i, item := range got {
		if key := item.(map[string]any)["key"]; key != fmt.Sprintf("key-%03d", i) {
			t.Fatalf("item %d is %v", i, key)
		}
	}
	count := 0
	for target := "GET /v1/secrets?namespace=app&limit=100"; target != ""; {
		page := d.send(t, "program", target, "").fields(t)
		count += len(page["items"].([]any))
		next, more := page["next_cursor"].(string)
		if target = ""; more {
			target = "GET /v1/secrets?namespace=app&limit=100&cursor=" + next
		}
	}
	if count != n {
		t.Errorf("page by page %d of %d", count, n)
	}
}

// breaking is a desk whose lists break after some pages.
type breaking struct {
	rest.Desk
	after *int
}

func (b breaking) List(_ context.Context, _ identity.Principal, r broker.ListRequest) (vault.Page, error) {
	if *b.after--; *b.after < 0 {
		return vault.Page{}, errors.New("CANARY")
	}
	page := vault.Page{Next: "more"}
	for i := range r.Limit {
		page.Items = append(page.Items, vault.Metadata{Path: vault.Path(fmt.Sprintf("app/key-%d", i)), Tier: vault.Standard, Type: vault.Custom, Version: 1})
	}
	return page, nil
}

func (breaking) RevealUnlessNamespace(context.Context, identity.Principal, vault.Path) (vault.Secret, error) {
	return vault.Secret{}, broker.ErrNamespace
}

// TestBrokenListIsNoList: a list that cannot be finished is not taken for one.
func TestBrokenListIsNoList(t *testing.T) {
	for after, status := range []int{500, 200} {
		d := newDesk(t, programs)
		left := after
		d.door = rest.New(breaking{d.Broker, &left}, d.caller, nil)
		server := httptest.NewServer(d.door)
		t.Cleanup(server.Close)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/secrets/app", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer program")
		answer, err := http.DefaultTransport.RoundTrip(r)
		if status == 200 && err != nil {
			continue // cut before the header was read
		}
		must(t, err)
		_, err = io.ReadAll(answer.Body)
		must(t, answer.Body.Close())
		if answer.StatusCode != status || (status == 200) != (err != nil) {
			t.Errorf("broken after %d pages: %d, %v", after, answer.StatusCode, err)
		}
	}
}
