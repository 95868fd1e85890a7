package broker_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestRotatingTellsNoMore: who may rotate and not list is told the versions and the
// times, and nothing of what is there.
func TestRotatingTellsNoMore(t *testing.T) {
	f := newDesk(t, "version: 1\nrules:\n  - {name: r, agents: [\"*\"], doors: [rest], paths: [\"*\"], allow: [rotate, token]}\n"+
		"  - {name: l, agents: [lister], doors: [rest], paths: [\"*\"], allow: [list]}\n")
	f.put(t, "p/key", vault.Change{
		Generate: new(vault.Recipe("{base62:20}")), Description: new("of the bank"), Tags: &map[string]string{"team": "red"}, ExpiresAt: new(f.now().Add(time.Hour)),
	}, "api.example.com")
	before, err := f.Describe(t.Context(), owner, "p/key")
	if err != nil {
		t.Fatal(err)
	}
	f.pass(time.Minute)
	blind, lister := f.register(t, identity.NewAgent{Name: "blind"}), f.register(t, identity.NewAgent{Name: "lister"})
	got, err := f.Rotate(t.Context(), blind, broker.RotateRequest{Path: "p/key", Grace: time.Minute})
	want := broker.Rotated{
		Metadata:   vault.Metadata{Path: "p/key", Version: 2, CreatedAt: before.CreatedAt, UpdatedAt: f.now()},
		OldVersion: 1, OldReadableUntil: f.now().Add(time.Minute),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	writer, _ := f.token(t, lister, broker.TokenRequest{Scopes: scopes(t, "secrets:write:*")})
	for _, who := range []identity.Principal{lister, writer, owner} {
		if got, err := f.Rotate(t.Context(), who, broker.RotateRequest{Path: "p/key"}); err != nil || got.Metadata.Description != "of the bank" || len(got.Metadata.Destinations) != 1 {
			t.Errorf("%s: %+v, %v", who.ID(), got, err)
		}
	}
}
