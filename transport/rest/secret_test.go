package rest_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestMetadataByHand: what a reading says of its secret, which is written by hand,
// is byte for byte what a list says of it.
func TestMetadataByHand(t *testing.T) {
	instant := rapid.OneOf(rapid.Just(time.Time{}), rapid.Custom(func(t *rapid.T) time.Time {
		zone := time.FixedZone("", 60*rapid.IntRange(-600, 600).Draw(t, "zone"))
		return time.UnixMicro(rapid.Int64Range(-1e12, 4e15).Draw(t, "micros")).In(zone)
	}))
	rapid.Check(t, func(t *rapid.T) {
		m := vault.Metadata{
			Path: vault.Path(rapid.StringMatching(`[a-zA-Z0-9._ -]{1,8}(/[a-zA-Z0-9._ -]{1,8}){0,3}`).Draw(t, "path")),
			Type: vault.APIKey, Tier: rapid.SampledFrom([]vault.Tier{vault.Standard, vault.Sensitive, vault.Critical}).Draw(t, "tier"),
			Description: rapid.String().Draw(t, "description"),
			Tags:        rapid.OneOf(rapid.Just(map[string]string(nil)), rapid.MapOfN(rapid.String(), rapid.String(), 0, 4)).Draw(t, "tags"),
			Extra:       rapid.SampledFrom([]string{"", `{"a":[1,{"b":null}],"z":true}`}).Draw(t, "extra"),
			Version:     rapid.IntRange(1, 1<<40).Draw(t, "version"), Binary: rapid.Bool().Draw(t, "binary"),
			CreatedAt: instant.Draw(t, "created"), UpdatedAt: instant.Draw(t, "updated"), AccessedAt: instant.Draw(t, "accessed"),
			ExpiresAt: instant.Draw(t, "expires"), DeletedAt: instant.Draw(t, "deleted"),
		}
		byHand, byReflection, err := rest.MetadataTwice(m)
		if err != nil || string(byHand) != string(byReflection) {
			t.Fatalf("%v\n%s\n%s", err, byHand, byReflection)
		}
	})
	if _, _, err := rest.MetadataTwice(vault.Metadata{Description: "\xff"}); err == nil {
		t.Error("text that is not UTF-8 is written")
	}
}
