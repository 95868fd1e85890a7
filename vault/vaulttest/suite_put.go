package vaulttest

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func putCases() []testCase {
	return []testCase{
		{"defaults", Caps{}, (*run).testDefaults},
		{"every field", Caps{}, (*run).testEveryField},
		{"update keeps what it does not name", Caps{}, (*run).testUpdateKeeps},
		{"modes", Caps{}, (*run).testModes},
		{"what is returned belongs to the caller", Caps{}, (*run).testOwnership},
		{"concurrent changes", Caps{}, (*run).testConcurrent},
		{"ended context", Caps{}, (*run).testContext},
		{"expiry", Caps{FakeTime: true}, (*run).testExpiry},
	}
}

func (r *run) testDefaults() {
	m := r.put("flat", vault.Change{Value: value("v")})
	if m.Path != "flat" || m.Type != vault.Custom || m.Tier != vault.Standard || m.Version != 1 || m.Binary ||
		m.Tags != nil || m.Destinations != nil || m.Description != "" || m.Generate != "" || !m.ExpiresAt.IsZero() || !m.DeletedAt.IsZero() {
		r.Errorf("got %+v", m)
	}
	if m.CreatedAt.IsZero() || !m.CreatedAt.Equal(m.UpdatedAt) || m.CreatedAt.Location() != time.UTC || m.CreatedAt.Nanosecond()%1000 != 0 {
		r.Errorf("created %v, updated %v", m.CreatedAt, m.UpdatedAt)
	}
	r.wantGetError("other", vault.Latest, vault.ErrNotFound)
	_, err := r.Describe(r.Context(), "other")
	r.wantError(err, vault.ErrNotFound)
}

func (r *run) full() (vault.Path, vault.Change) {
	r.Helper()
	place, err := vault.ParsePlace("json:/auth/token: Bearer {}")
	if err != nil {
		r.Fatal(err)
	}
	d, err := vault.ParseDestination("GET,POST https://*.example.com:8443/v1/*", place)
	if err != nil {
		r.Fatal(err)
	}
	if d.HTTP.Answer, err = vault.ParseAnswer("fields:/id,/items/*/name"); err != nil {
		r.Fatal(err)
	}
	c := vault.Change{
		Value: value("sk-1"), Type: new(vault.APIKey), Tier: new(vault.Critical), Description: new("Schlüssel für die Küche – 🔑"),
		Tags: &map[string]string{"team": "küche", "empty": ""}, Extra: new(`{"owners":["küche",7],"since":null}`), ExpiresAt: new(time.Now().Add(time.Hour)),
		Destinations: &[]vault.Destination{}, Generate: new(vault.Recipe("")),
	}
	if r.caps.Destinations {
		c.Destinations, c.Generate = &[]vault.Destination{d}, new(vault.Recipe("sk-{base62:40}"))
	}
	return "production/some service/api-key", c
}

func (r *run) testEveryField() {
	p, c := r.full()
	put := r.put(p, c)
	if put.Type != *c.Type || put.Tier != *c.Tier || put.Description != *c.Description || !maps.Equal(put.Tags, *c.Tags) || put.Extra != *c.Extra ||
		put.Generate != *c.Generate || !put.ExpiresAt.Equal(c.ExpiresAt.Truncate(time.Microsecond)) ||
		!slices.EqualFunc(put.Destinations, *c.Destinations, vault.Destination.Equal) {
		r.Errorf("put returns %+v", put)
	}
	got, err := r.Describe(r.Context(), p)
	if err != nil || !reflect.DeepEqual(got, put) {
		r.Errorf("describe %+v, %v, put returned %+v", got, err, put)
	}
	if s := r.wantValue(p, vault.Latest, "sk-1"); !reflect.DeepEqual(s.Metadata, put) {
		r.Errorf("get %+v, put returned %+v", s.Metadata, put)
	}
	page, err := r.List(r.Context(), vault.Query{})
	if err != nil || len(page.Items) != 1 || !reflect.DeepEqual(page.Items[0], put) {
		r.Errorf("list %+v, %v, put returned %+v", page.Items, err, put)
	}
}

func (r *run) testUpdateKeeps() {
	p, c := r.full()
	before := r.put(p, c)
	for _, step := range []struct {
		name   string
		change vault.Change
		adjust func(*vault.Metadata)
	}{
		{"nothing", vault.Change{}, func(*vault.Metadata) {}},
		{"value", vault.Change{Value: value("sk-2")}, func(m *vault.Metadata) { m.Version++ }},
		{"binary value", vault.Change{Value: secret.New([]byte{0xff})}, func(m *vault.Metadata) { m.Version++; m.Binary = true }},
		{"type", vault.Change{Type: new(vault.SSHKey)}, func(m *vault.Metadata) { m.Type = vault.SSHKey }},
		{"tier", vault.Change{Tier: new(vault.Standard)}, func(m *vault.Metadata) { m.Tier = vault.Standard }},
		{"description", vault.Change{Description: new("")}, func(m *vault.Metadata) { m.Description = "" }},
		{"tags", vault.Change{Tags: &map[string]string{"a": "b"}}, func(m *vault.Metadata) { m.Tags = map[string]string{"a": "b"} }},
		{"no tags", vault.Change{Tags: &map[string]string{}}, func(m *vault.Metadata) { m.Tags = nil }},
		{"extra", vault.Change{Extra: new(`{"b": 1, "a": {}}`)}, func(m *vault.Metadata) { m.Extra = `{"a":{},"b":1}` }},
		{"no extra", vault.Change{Extra: new("")}, func(m *vault.Metadata) { m.Extra = "" }},
		{"no destinations", vault.Change{Destinations: &[]vault.Destination{}}, func(m *vault.Metadata) { m.Destinations = nil }},
		{"no recipe", vault.Change{Generate: new(vault.Recipe(""))}, func(m *vault.Metadata) { m.Generate = "" }},
		{"no expiry", vault.Change{ExpiresAt: &time.Time{}}, func(m *vault.Metadata) { m.ExpiresAt = time.Time{} }},
	} {
		after := r.put(p, step.change)
		step.adjust(&before)
		if after.UpdatedAt.Before(before.UpdatedAt) {
			r.Errorf("%s: updated goes back", step.name)
		}
		before.UpdatedAt = after.UpdatedAt
		if !reflect.DeepEqual(before, after) {
			r.Errorf("%s: got %+v, want %+v", step.name, after, before)
		}
		if got, err := r.Describe(r.Context(), p); err != nil || !reflect.DeepEqual(got, after) {
			r.Errorf("%s: describe %+v, %v", step.name, got, err)
		}
	}
}

func (r *run) testModes() {
	_, err := r.Put(r.Context(), "a", vault.Change{Mode: vault.Replace, Value: value("v")})
	r.wantError(err, vault.ErrNotFound)
	r.put("a", vault.Change{Mode: vault.Create, Value: value("v")})
	_, err = r.Put(r.Context(), "a", vault.Change{Mode: vault.Create, Value: value("w")})
	r.wantError(err, vault.ErrExists)
	r.wantValue("a", vault.Latest, "v")
	if m := r.put("a", vault.Change{Mode: vault.Replace, Value: value("x")}); m.Version != 2 {
		r.Errorf("version %d", m.Version)
	}
	r.put("b", vault.Change{Mode: vault.Upsert, Value: value("v")})
	r.put("b", vault.Change{Mode: vault.Upsert, Value: value("w")})
}

func (r *run) testOwnership() {
	p, c := r.full()
	put := r.put(p, c)
	want, err := r.Describe(r.Context(), p)
	if err != nil {
		r.Fatal(err)
	}
	spoil := func(m vault.Metadata) {
		m.Tags["team"] = "spoilt"
		for _, d := range m.Destinations {
			d.HTTP.Host = "evil.example"
			d.HTTP.Methods[0] = "EVIL"
		}
	}
	got, err := r.Describe(r.Context(), p)
	if err != nil {
		r.Fatal(err)
	}
	spoil(got)
	spoil(put)
	spoil(vault.Metadata{Tags: *c.Tags, Destinations: *c.Destinations})
	if got, err := r.Describe(r.Context(), p); err != nil || !reflect.DeepEqual(got, want) {
		r.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func (r *run) testConcurrent() {
	const writers = 20
	versions := make(chan int, writers)
	for range writers {
		go func() {
			m, err := r.Put(r.Context(), "shared", vault.Change{Value: value("v")})
			if err != nil {
				r.Error(err)
			}
			versions <- m.Version
		}()
	}
	var got []int
	for range writers {
		got = append(got, <-versions)
	}
	slices.Sort(got)
	for i, n := range got {
		if n != i+1 {
			r.Fatalf("versions %v", got)
		}
	}
}

func (r *run) testContext() {
	r.putText("a")
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	_, putErr := r.Put(ctx, "b", vault.Change{Value: value("v")})
	_, getErr := r.Get(ctx, "a", vault.Latest)
	_, listErr := r.List(ctx, vault.Query{})
	_, describeErr := r.Describe(ctx, "a")
	for _, err := range []error{putErr, getErr, listErr, describeErr, r.Delete(ctx, "a", true)} {
		if !errors.Is(err, context.Canceled) {
			r.Errorf("got %v", err)
		}
	}
	r.wantGetError("b", vault.Latest, vault.ErrNotFound)
	r.wantValue("a", vault.Latest, "value of a")
}

func (r *run) testExpiry() {
	r.put("a", vault.Change{Value: value("v"), ExpiresAt: new(time.Now().Add(time.Hour))})
	time.Sleep(time.Hour - time.Second)
	r.wantValue("a", vault.Latest, "v")
	time.Sleep(time.Second)
	r.wantGetError("a", vault.Latest, vault.ErrExpired)
	r.wantGetError("a", 1, vault.ErrNotFound) // an expired one is not found too
	if m, err := r.Describe(r.Context(), "a"); err != nil || m.Version != 1 {
		r.Errorf("describe: %+v, %v", m, err)
	}
	if page, err := r.List(r.Context(), vault.Query{}); err != nil || len(page.Items) != 1 {
		r.Errorf("list: %+v, %v", page, err)
	}
	// A new value alone does not bring it back; another expiry does.
	r.put("a", vault.Change{Value: value("w")})
	r.wantGetError("a", vault.Latest, vault.ErrExpired)
	r.put("a", vault.Change{ExpiresAt: new(time.Now().Add(time.Hour))})
	r.wantValue("a", vault.Latest, "w")
	r.put("a", vault.Change{ExpiresAt: &time.Time{}})
	time.Sleep(100 * 365 * 24 * time.Hour)
	r.wantValue("a", vault.Latest, "w")
}
