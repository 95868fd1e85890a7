package vaulttest

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func limitCases() []testCase {
	return []testCase{
		{"values", Caps{}, (*run).testValues},
		{"limits", Caps{}, (*run).testLimits},
		{"a refused change changes nothing", Caps{}, (*run).testRefusedChange},
		{"path conflicts", Caps{}, (*run).testPathConflicts},
		{"invalid path", Caps{}, (*run).testInvalidPath},
	}
}

func (r *run) testValues() {
	for name, v := range map[string]string{
		"one byte": "x", "NUL": "a\x00b", "newlines": "-----BEGIN\nx\n", "not UTF-8": "\xff\xfe\x00", "UTF-8": "pässwörd",
		"largest": strings.Repeat("k", vault.MaxValueBytes), "spaces": "  ",
	} {
		p := vault.Path("values/" + name)
		m := r.put(p, vault.Change{Value: value(v)})
		if m.Binary != (name == "not UTF-8") {
			r.Errorf("%s: binary %v", name, m.Binary)
		}
		r.wantValue(p, vault.Latest, v)
	}
	for name, c := range map[string]vault.Change{
		"absent": {}, "empty": {Value: value("")}, "too long": {Value: value(strings.Repeat("k", vault.MaxValueBytes+1))},
	} {
		_, err := r.Put(r.Context(), vault.Path("values/"+name), c)
		r.wantInvalid(err, "value", "kkkk")
	}
	_, err := r.Put(r.Context(), "values/UTF-8", vault.Change{Value: value("")})
	r.wantInvalid(err, "value", "")
	r.wantValue("values/UTF-8", vault.Latest, "pässwörd")
}

func (r *run) testLimits() {
	long := func(n int) *string { return new(strings.Repeat("d", n)) }
	tags := func(n int) *map[string]string {
		m := map[string]string{}
		for i := range n {
			m["tag"+strings.Repeat("x", i)] = "t"
		}
		return &m
	}
	destination, err := vault.ParseDestination("example.com", vault.Bearer)
	if err != nil {
		r.Fatal(err)
	}
	destinations := func(n int) *[]vault.Destination { return new(slices.Repeat([]vault.Destination{destination}, n)) }
	r.put("allowed", vault.Change{Value: value("v"), Description: long(vault.MaxDescriptionBytes), Tags: tags(vault.MaxTags)})
	if r.caps.Destinations {
		r.put("allowed", vault.Change{Destinations: destinations(vault.MaxDestinations)})
	}
	r.put("allowed", vault.Change{
		Value: value("w"), Tags: &map[string]string{*long(vault.MaxTagBytes): *long(vault.MaxTagBytes)}, Grace: new(vault.MaxGrace),
	})
	for _, tc := range []struct {
		name, field string
		change      vault.Change
	}{
		{"description too long", "description", vault.Change{Description: long(vault.MaxDescriptionBytes + 1)}},
		{"newline in description", "description", vault.Change{Description: new("line\nline")}},
		{"NUL in description", "description", vault.Change{Description: new("nul\x00nul")}},
		{"escape in description", "description", vault.Change{Description: new("red\x1b[31m")}},
		{"bidirectional override in description", "description", vault.Change{Description: new("abc\u202edef")}},
		{"zero width in description", "description", vault.Change{Description: new("abc\u200bdef")}},
		{"line separator in description", "description", vault.Change{Description: new("abc\u2028def")}},
		{"bytes in description", "description", vault.Change{Description: new("abc\xffdef")}},
		{"too many tags", "tags", vault.Change{Tags: tags(vault.MaxTags + 1)}},
		{"tag without a name", "tags", vault.Change{Tags: &map[string]string{"": "text"}}},
		{"long tag name", "tags", vault.Change{Tags: &map[string]string{*long(vault.MaxTagBytes + 1): "text"}}},
		{"long tag text", "tags", vault.Change{Tags: &map[string]string{"name": *long(vault.MaxTagBytes + 1)}}},
		{"control character in a tag name", "tags", vault.Change{Tags: &map[string]string{"na\tme": "text"}}},
		{"control character in a tag text", "tags", vault.Change{Tags: &map[string]string{"name": "te\x7fxt"}}},
		{"extra that is no object", "metadata", vault.Change{Extra: new("[1]")}},
		{"extra that is text", "metadata", vault.Change{Extra: new(`{"team":"ml"}`)}},
		{"too many destinations", "to", vault.Change{Destinations: destinations(vault.MaxDestinations + 1)}},
		{"destination without a kind", "to", vault.Change{Destinations: &[]vault.Destination{{}}}},
		{"unknown tier", "tier", vault.Change{Tier: new(vault.Tier("secretly"))}},
		{"unknown type", "type", vault.Change{Type: new(vault.Type("password"))}},
		{"broken recipe", "generate", vault.Change{Generate: new(vault.Recipe("{dice:40}"))}},
		{"past expiry", "expires", vault.Change{ExpiresAt: new(time.Now().Add(-time.Hour))}},
		{"far expiry", "expires", vault.Change{ExpiresAt: new(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}},
		{"negative grace", "grace", vault.Change{Value: value("v"), Grace: new(-time.Second)}},
		{"grace too long", "grace", vault.Change{Value: value("v"), Grace: new(vault.MaxGrace + 1)}},
	} {
		create := tc.change
		create.Value = value("v")
		_, err := r.Put(r.Context(), "refused", create)
		r.wantInvalid(err, tc.field, "abc")
		_, err = r.Put(r.Context(), "allowed", tc.change)
		r.wantInvalid(err, tc.field, "abc")
		if r.Failed() {
			r.Fatalf("at %s", tc.name)
		}
	}
	_, err = r.Put(r.Context(), "allowed", vault.Change{Grace: new(time.Hour)})
	r.wantInvalid(err, "grace", "")
	r.wantGetError("refused", vault.Latest, vault.ErrNotFound)
}

func (r *run) testRefusedChange() {
	before := r.put("a", vault.Change{Value: value("v")})
	_, err := r.Put(r.Context(), "a", vault.Change{Value: value("w"), Description: new("fine"), Tier: new(vault.Tier("none"))})
	r.wantInvalid(err, "tier", "")
	after, err := r.Describe(r.Context(), "a")
	if err != nil || !reflect.DeepEqual(before, after) {
		r.Errorf("got %+v, %v, want %+v", after, err, before)
	}
	r.wantValue("a", vault.Latest, "v")
	r.wantGetError("a", 2, vault.ErrNotFound)
}

func (r *run) testPathConflicts() {
	r.putText("a/b/c", "x", "m/n", "m-n", "m-n2/o", "A/B")
	for _, p := range []vault.Path{"a", "a/b", "a/b/c/d", "a/b/c/d/e", "x/y", "x/y/z", "m", "m-n/x", "m-n2"} {
		_, err := r.Put(r.Context(), p, vault.Change{Value: value("v")})
		r.wantError(err, vault.ErrPathConflict)
		r.wantGetError(p, vault.Latest, vault.ErrNotFound)
	}
	// Neighbours in the order of bytes, and another case, are no conflict.
	r.putText("a/b-c", "a/b.c/d", "a/bc", "a b", "x-y/z", "x.y", "A/b/c", "X/y", "m/n-")
	r.delete("x", true)
	r.putText("x/y/z")
}

func (r *run) testInvalidPath() {
	for _, p := range []vault.Path{"", "/a", "a/", "a//b", "a/../b", "a/.", "a\x00b", "ä", "a\nb", vault.Path(strings.Repeat("p", 600))} {
		_, err := r.Put(r.Context(), p, vault.Change{Value: value("v")})
		r.wantInvalid(err, "path", string(p))
		_, err = r.Describe(r.Context(), p)
		r.wantError(err, vault.ErrNotFound)
	}
}
