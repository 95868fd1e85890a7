package vault_test

import (
	"errors"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestTiersAndTypes(t *testing.T) {
	for _, tier := range vault.Tiers() {
		if got, err := vault.ParseTier(string(tier)); err != nil || got != tier {
			t.Errorf("%s: %s, %v", tier, got, err)
		}
	}
	for _, typ := range vault.Types() {
		if got, err := vault.ParseType(string(typ)); err != nil || got != typ {
			t.Errorf("%s: %s, %v", typ, got, err)
		}
	}
	tier, tierErr := vault.ParseTier("")
	typ, typErr := vault.ParseType("")
	if tier != vault.Standard || typ != vault.Custom || tierErr != nil || typErr != nil {
		t.Errorf("defaults %q, %q", tier, typ)
	}
	for _, in := range []string{"Standard", "none!", " critical\t", "standard\n"} {
		_, err := vault.ParseTier(in)
		wantInvalid(t, err, "tier", in)
		_, err = vault.ParseType(in)
		wantInvalid(t, err, "type", in)
	}
}

func TestErrorsThatAreNotFound(t *testing.T) {
	for _, err := range []error{vault.ErrExpired, vault.ErrVersionRetired} {
		if !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%v is no ErrNotFound", err)
		}
	}
	if errors.Is(vault.ErrNotFound, vault.ErrExpired) || errors.Is(vault.ErrExpired, vault.ErrVersionRetired) {
		t.Error("errors are mixed up")
	}
}
