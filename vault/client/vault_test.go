package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
)

// TestVaultRequests has what a change costs: which requests are made of it.
func TestVaultRequests(t *testing.T) {
	const one = `{"path":"n/a","version":1,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}`
	list := exchange{request: "GET /v1/secrets?limit=200&namespace=n&path=n%2Fa&recursive=false", answer: `{"items":[` + one + `]}`}
	none := exchange{request: list.request, answer: `{"items":[]}`}
	post := func(body string, status int) exchange {
		e := exchange{request: "POST /v1/secrets", body: body, status: status, answer: one}
		if status == 409 {
			e.answer = `{"error":{"code":"SECRET_EXISTS"}}`
		}
		return e
	}
	on := func(method, body string) exchange {
		return exchange{request: method + " /v1/secrets/n%2Fa", body: body, answer: one}
	}
	missing := on("PATCH", `{"tier":"critical"}`)
	missing.status, missing.answer = 404, `{"error":{"code":"SECRET_NOT_FOUND"}}`
	v := text("v")
	critical := new(vault.Critical)
	for name, test := range map[string]struct {
		change    vault.Change
		exchanges []exchange
		err       error
	}{
		"value":                     {vault.Change{Value: v}, []exchange{on("PUT", `{"value":"v"}`)}, nil},
		"new, with metadata":        {vault.Change{Value: v, Tier: critical}, []exchange{post(`{"path":"n/a","value":"v","tier":"critical"}`, 201)}, nil},
		"old, with metadata":        {vault.Change{Value: v, Tier: critical}, []exchange{post(`{"path":"n/a","value":"v","tier":"critical"}`, 409), on("PATCH", `{"tier":"critical"}`), on("PUT", `{"value":"v"}`)}, nil},
		"metadata":                  {vault.Change{Tier: critical}, []exchange{on("PATCH", `{"tier":"critical"}`)}, nil},
		"metadata of nothing":       {vault.Change{Tier: critical, Mode: vault.Replace}, []exchange{missing}, vault.ErrNotFound},
		"rotation":                  {vault.Change{Value: v, Mode: vault.Replace, Grace: new(time.Minute)}, []exchange{on("PATCH", `{"value":"v","grace_period_seconds":60}`), list}, nil},
		"creation":                  {vault.Change{Value: v, Mode: vault.Create}, []exchange{post(`{"path":"n/a","value":"v"}`, 201)}, nil},
		"creation where one is":     {vault.Change{Value: v, Mode: vault.Create}, []exchange{post(`{"path":"n/a","value":"v"}`, 409)}, vault.ErrExists},
		"replacement":               {vault.Change{Value: v, Mode: vault.Replace}, []exchange{list, on("PUT", `{"value":"v"}`)}, nil},
		"replacement of nothing":    {vault.Change{Value: v, Mode: vault.Replace}, []exchange{none}, vault.ErrNotFound},
		"nothing":                   {vault.Change{}, []exchange{list}, nil},
		"members of metadata alone": {vault.Change{Extra: new(`{"rank":3}`)}, []exchange{list, on("PATCH", `{"metadata":{"rank":3}}`)}, nil},
		"the service breaks in it":  {vault.Change{Value: v, Mode: vault.Create}, []exchange{post(`{"path":"n/a","value":"v"}`, 503)}, client.ErrNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := script(t, test.exchanges...).of().Vault().Put(t.Context(), "n/a", test.change)
			if name == "the service breaks in it" {
				wantCode(t, err, client.CodeUnknown, 503) // and it is not sent twice
			} else if !errors.Is(err, test.err) {
				t.Errorf("got %v, want %v", err, test.err)
			}
		})
	}
}

// TestVaultListGoesOn: a page of which nothing starts as it should is not taken
// for an empty one.
func TestVaultListGoesOn(t *testing.T) {
	s := script(
		t, exchange{request: "GET /v1/secrets?limit=2&namespace=n", answer: `{"items":[{"path":"n/a"},{"path":"n/b"}],"next_cursor":"c"}`},
		exchange{request: "GET /v1/secrets?cursor=c&limit=2&namespace=n", answer: `{"items":[{"path":"n/ma"},{"path":"n/z"}],"next_cursor":"d"}`},
	)
	page, err := s.of().Vault().List(t.Context(), vault.Query{Prefix: "n/m", Limit: 2})
	if err != nil || len(page.Items) != 1 || page.Items[0].Path != "n/ma" || page.Next != "d" {
		t.Errorf("%+v, %v", page, err)
	}
}

// TestVaultErrors has the errors of a vault that the service's codes stand for,
// each beside the client's own.
func TestVaultErrors(t *testing.T) {
	for code, test := range map[string]struct {
		status int
		want   error
		kind   error
	}{
		"SECRET_EXISTS":     {409, vault.ErrExists, nil},
		"PATH_CONFLICT":     {409, vault.ErrPathConflict, nil},
		"VERSION_EXPIRED":   {404, vault.ErrVersionRetired, client.ErrNotFound},
		"STORAGE_READ_ONLY": {503, vault.ErrReadOnly, nil},
		"STORAGE_FULL":      {503, vault.ErrStorageFull, nil},
		"STORAGE_FAILED":    {500, vault.ErrStorageFailed, nil},
		"BUSY":              {503, vault.ErrBusy, nil},
	} {
		t.Run(code, func(t *testing.T) {
			s := script(t, exchange{request: "GET /v1/secrets/a?version=1", status: test.status, answer: `{"error":{"code":"` + code + `"}}`})
			_, err := s.of(func(o *client.Options) { o.Retries = client.NoRetries }).Vault().Get(t.Context(), "a", 1)
			if wantKind(t, err, test.kind); !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
			wantCode(t, err, code, test.status)
		})
	}
}

// TestVaultDescribeWithoutHelp: a service that does not know the field path is
// read in order until the secret's place is passed.
func TestVaultDescribeWithoutHelp(t *testing.T) {
	page := func(cursor, answer string) exchange {
		return exchange{request: "GET /v1/secrets?" + cursor + "limit=200&namespace=n&path=n%2Fm&recursive=false", answer: answer}
	}
	first := page("", `{"items":[{"path":"n/a"},{"path":"n/b"}],"next_cursor":"c"}`)
	s := script(
		t, first, page("cursor=c&", `{"items":[{"path":"n/m","version":4},{"path":"n/z"}],"next_cursor":"d"}`),
		first, page("cursor=c&", `{"items":[{"path":"n/z"}],"next_cursor":"d"}`),
		first, page("cursor=c&", `{"items":[],"next_cursor":"c"}`), // in a circle
		page("", `{"items":[{"path":"n/m","tags":{},"metadata":{"":1}}]}`),
	)
	v := s.of().Vault()
	if m, err := v.Describe(t.Context(), "n/m"); err != nil || m.Version != 4 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := v.Describe(t.Context(), "n/m"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	for range 2 { // the circle, and metadata that no vault takes
		_, err := v.Describe(t.Context(), "n/m")
		wantCode(t, err, client.CodeInvalidResponse, 200)
	}
}

// TestVaultOfEditionB has what a service of that edition can be asked as a vault.
func TestVaultOfEditionB(t *testing.T) {
	token := func(scope, value string) exchange {
		return exchange{request: "POST /v1/tokens", body: `{"scopes":["` + scope + `"],"ttl":"1h"}`, answer: `{"token":"` + value + `","expires_at":"2030-01-01T00:00:00Z"}`}
	}
	listed := exchange{request: "GET /v1/secrets/n", bearer: "l", answer: `{"namespace":"n","items":[{"namespace":"n","key":"a","version":1,"secret_type":"ssh_key","access_tier":"critical","metadata":{"team":"ml","rank":3}}]}`}
	s := script(
		t, token("secrets:read:n/*", "l"), listed,
		listed, token("secrets:write:n/a", "w"), // what is there is said again, since the service would forget it
		exchange{request: "PUT /v1/secrets/n/a", bearer: "w", body: `{"value":"v","secret_type":"ssh_key","access_tier":"critical","metadata":{"team":"ml","rank":3}}`, answer: `{"namespace":"n","key":"a","version":2}`},
		exchange{request: "GET /v1/secrets/n/a", bearer: "l", answer: `{"value":"v","version":2}`},
		exchange{request: "GET /v1/secrets/n/a", bearer: "l", answer: `{"value":"v","version":2}`},
		exchange{request: "GET /v1/secrets/n/a", bearer: "l", answer: `{"value":"v","version":2}`},
		listed, listed, listed,
		exchange{request: "PUT /v1/secrets/n/a", bearer: "w", body: `{"value":"v","secret_type":"ssh_key","access_tier":"critical","metadata":{"team":"ml","rank":3}}`, answer: `{"namespace":"n","key":"a","version":3}`},
		token("secrets:delete:n/a", "d"), exchange{request: "DELETE /v1/secrets/n/a", bearer: "d", status: 204},
	)
	v := s.of(editionB).Vault()
	ctx := t.Context()
	if page, err := v.List(ctx, vault.Query{Prefix: "n/"}); err != nil || len(page.Items) != 1 || page.Items[0].Path != "n/a" || page.Items[0].Extra != `{"rank":3}` {
		t.Errorf("list: %+v, %v", page, err)
	}
	if m, err := v.Put(ctx, "n/a", vault.Change{Value: text("v")}); err != nil || m.Version != 2 {
		t.Errorf("put: %+v, %v", m, err)
	}
	if s, err := v.Get(ctx, "n/a", vault.Latest); err != nil || s.Version != 2 {
		t.Errorf("get: %v", err)
	}
	// What it has no words for is found out by a look.
	if s, err := v.Get(ctx, "n/a", 2); err != nil || s.Version != 2 {
		t.Errorf("the latest by its number: %v", err)
	}
	if _, err := v.Get(ctx, "n/a", 1); !errors.Is(err, vault.ErrVersionRetired) {
		t.Errorf("another version: %v", err)
	}
	if _, err := v.Put(ctx, "n/a", vault.Change{Mode: vault.Create, Value: text("v")}); !errors.Is(err, vault.ErrExists) {
		t.Errorf("made over another: %v", err)
	}
	if _, err := v.Put(ctx, "n/b", vault.Change{Mode: vault.Replace, Value: text("v")}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("replaced where there is none: %v", err)
	}
	if m, err := v.Put(ctx, "n/a", vault.Change{Mode: vault.Replace, Value: text("v"), Grace: new(time.Duration)}); err != nil || m.Version != 3 {
		t.Errorf("rotated: %+v, %v", m, err)
	}
	if err := v.Delete(ctx, "n/a", true); err != nil {
		t.Errorf("delete: %v", err)
	}
	put := func(c vault.Change) error { _, err := v.Put(ctx, "n/a", c); return err }
	for name, err := range map[string]error{
		"metadata":    put(vault.Change{Tier: new(vault.Critical)}),
		"grace":       put(vault.Change{Value: text("v"), Grace: new(time.Hour)}),
		"description": put(vault.Change{Value: text("v"), Description: new("d")}),
		"expiry":      put(vault.Change{Value: text("v"), ExpiresAt: new(time.Now().Add(time.Hour))}),
		"trash":       v.Delete(ctx, "n/a", false),
		"a list of the trash": func() error {
			_, err := v.List(ctx, vault.Query{Prefix: "n/", Deleted: true})
			return err
		}(),
		"restore": func() error { _, err := v.Restore(ctx, "n/a"); return err }(),
		"history": func() error { _, err := v.History(ctx, "n/a"); return err }(),
		"all":     func() error { _, err := v.List(ctx, vault.Query{}); return err }(),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v", err)
			}
		})
	}
}
