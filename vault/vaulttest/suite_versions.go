package vaulttest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func versionCases() []testCase {
	return []testCase{
		{"older versions", Caps{}, (*run).testOlderVersions},
		{"rotation without grace", Caps{}, (*run).testRotation},
		{"rotation with grace", Caps{FakeTime: true}, (*run).testGrace},
		{"overlapping rotations", Caps{FakeTime: true}, (*run).testOverlap},
		{"history", Caps{History: true, FakeTime: true}, (*run).testHistory},
	}
}

func (r *run) testOlderVersions() {
	for i := 1; i <= 3; i++ {
		r.put("a", vault.Change{Value: value(fmt.Sprint("v", i))})
	}
	r.put("a", vault.Change{Description: new("no new version")})
	for i := 1; i <= 3; i++ { // plain changes leave them readable
		if s := r.wantValue("a", i, fmt.Sprint("v", i)); s.Version != i || s.Description != "no new version" {
			r.Errorf("version %d: %+v", i, s.Metadata)
		}
	}
	if s := r.wantValue("a", vault.Latest, "v3"); s.Version != 3 {
		r.Errorf("latest is %d", s.Version)
	}
	for _, version := range []int{4, -1, 1 << 40} {
		r.wantGetError("a", version, vault.ErrNotFound)
	}
	r.put("a", vault.Change{Value: value("\xff")})
	if s := r.wantValue("a", 1, "v1"); s.Binary {
		r.Error("an older text version is called binary")
	}
	if s := r.wantValue("a", 4, "\xff"); !s.Binary {
		r.Error("a binary version is called text")
	}
}

func (r *run) testRotation() {
	r.put("a", vault.Change{Value: value("v1")})
	r.put("a", vault.Change{Value: value("v2")})
	m := r.put("a", vault.Change{Value: value("v3"), Grace: new(time.Duration(0))})
	if m.Version != 3 {
		r.Errorf("version %d", m.Version)
	}
	r.wantGetError("a", 1, vault.ErrVersionRetired)
	r.wantGetError("a", 2, vault.ErrVersionRetired)
	r.wantGetError("a", 2, vault.ErrNotFound)
	r.wantValue("a", 3, "v3")
	r.put("a", vault.Change{Value: value("v4")})
	r.wantValue("a", 3, "v3")
	r.wantGetError("a", 2, vault.ErrVersionRetired)
}

func (r *run) testGrace() {
	r.put("a", vault.Change{Value: value("v1")})
	r.put("a", vault.Change{Value: value("v2"), Grace: new(time.Hour)})
	time.Sleep(time.Hour - time.Second)
	r.wantValue("a", 1, "v1")
	r.wantValue("a", vault.Latest, "v2")
	time.Sleep(time.Second)
	r.wantGetError("a", 1, vault.ErrVersionRetired)
	r.wantValue("a", vault.Latest, "v2")
}

func (r *run) testOverlap() {
	r.put("a", vault.Change{Value: value("v1")})
	r.put("a", vault.Change{Value: value("v2"), Grace: new(time.Hour)})        // v1 until 1:00
	r.put("a", vault.Change{Value: value("v3"), Grace: new(2 * time.Hour)})    // v2 until 2:00, v1 no longer than before
	r.put("a", vault.Change{Value: value("v4")})                               // v3 stays
	time.Sleep(30 * time.Minute)                                               //
	r.put("a", vault.Change{Value: value("v5"), Grace: new(45 * time.Minute)}) // v2, v3, v4 until 1:15
	for i := 1; i <= 5; i++ {
		r.wantValue("a", i, fmt.Sprint("v", i))
	}
	time.Sleep(30 * time.Minute)
	r.wantGetError("a", 1, vault.ErrVersionRetired)
	for i := 2; i <= 5; i++ {
		r.wantValue("a", i, fmt.Sprint("v", i))
	}
	time.Sleep(15 * time.Minute)
	for i := 1; i <= 4; i++ {
		r.wantGetError("a", i, vault.ErrVersionRetired)
	}
	r.wantValue("a", 5, "v5")
}

func (r *run) testHistory() {
	h := r.Vault.(vault.Historian)
	_, err := h.History(r.Context(), "a")
	r.wantError(err, vault.ErrNotFound)
	start := time.Now().UTC().Truncate(time.Microsecond)
	r.put("a", vault.Change{Value: value("v1")})
	time.Sleep(time.Minute)
	r.put("a", vault.Change{Value: value("v2"), Grace: new(time.Hour)})
	time.Sleep(time.Minute)
	r.put("a", vault.Change{Value: value("v3")})
	r.put("a", vault.Change{Description: new("no version")})
	got, err := h.History(r.Context(), "a")
	want := []vault.Version{
		{Number: 3, CreatedAt: start.Add(2 * time.Minute), Current: true},
		{Number: 2, CreatedAt: start.Add(time.Minute)},
		{Number: 1, CreatedAt: start, ReadableUntil: start.Add(time.Minute + time.Hour)},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		r.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	r.delete("a", false)
	_, err = h.History(r.Context(), "a")
	r.wantError(err, vault.ErrNotFound)
}
