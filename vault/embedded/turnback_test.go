package embedded_test

import (
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestTurnBack: it was taken for noon and is eleven. Times are minutes after eleven.
func TestTurnBack(t *testing.T) {
	type version struct {
		at    int
		grace int // of the rotation that makes it, < 0 for none
	}
	const none = -1
	eleven := time.Date(2026, 5, 4, 11, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		made   []version
		damage int   // the head of this version is damaged, 0 for none
		ends   []int // of all but the last version, after the turn; none for no end
	}{
		"before":                          {[]version{{-60, none}, {-30, 45}}, 0, []int{15}},
		"before, over":                    {[]version{{-60, none}, {-30, 10}}, 0, []int{-20}},
		"ahead, over":                     {[]version{{-60, none}, {50, 5}}, 0, []int{0}},
		"ahead, none given":               {[]version{{-60, none}, {60, 0}}, 0, []int{0}},
		"ahead, some left":                {[]version{{-60, none}, {50, 15}}, 0, []int{5}},
		"ahead, all at once":              {[]version{{-60, none}, {-50, none}, {50, 15}}, 0, []int{5, 5}},
		"before, and a value since":       {[]version{{-60, none}, {-30, 45}, {50, none}}, 0, []int{15, none}},
		"before, and ahead later":         {[]version{{-60, none}, {-30, 45}, {50, 15}}, 0, []int{5, 5}},
		"before, and ahead earlier":       {[]version{{-60, none}, {-30, 95}, {50, 15}}, 0, []int{5, 5}},
		"twice ahead":                     {[]version{{-60, none}, {40, 15}, {50, 30}}, 0, []int{0, 20}},
		"ahead, and a value since":        {[]version{{-60, none}, {50, 15}, {55, none}}, 0, []int{5, none}},
		"later than what was seen":        {[]version{{-60, none}, {70, 20}}, 0, []int{20}},
		"the same end":                    {[]version{{-60, none}, {-30, 95}, {-20, 85}}, 0, []int{65, 65}},
		"not known by whom":               {[]version{{-60, none}, {-30, 95}, {-20, none}}, 2, []int{5, none}},
		"not known by whom, long ago":     {[]version{{-60, none}, {-30, 10}, {-20, none}}, 2, []int{-20, none}},
		"not known by whom, but the next": {[]version{{-60, none}, {-50, none}, {-30, 95}, {-20, none}}, 3, []int{5, 5, none}},
	} {
		t.Run(name, func(t *testing.T) {
			h, now := newHome(t), eleven
			v := h.open(t, func() time.Time { return now })
			for _, path := range []vault.Path{"a", "b"} { // b follows in the walk
				if path == "b" && tc.damage != 0 {
					break
				}
				for _, made := range tc.made {
					now = eleven.Add(time.Duration(made.at) * time.Minute)
					c := vault.Change{Value: text("v")}
					if made.grace >= 0 {
						c.Grace = new(time.Duration(made.grace) * time.Minute)
					}
					if _, err := v.Put(t.Context(), path, c); err != nil {
						t.Fatal(err)
					}
				}
			}
			var kept []byte
			if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if tc.damage != 0 {
					if err := tx.QueryRow("SELECT head FROM vault_versions WHERE path = 'a' AND version = ?", tc.damage).Scan(&kept); err != nil {
						return err
					}
					if _, err := tx.Exec("UPDATE vault_versions SET head = x'00' WHERE path = 'a' AND version = ?", tc.damage); err != nil {
						return err
					}
				}
				if err := v.TurnBack(tx, eleven, eleven.Add(time.Hour)); err != nil || tc.damage == 0 {
					return err
				}
				_, err := tx.Exec("UPDATE vault_versions SET head = ? WHERE path = 'a' AND version = ?", kept, tc.damage)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, path := range []vault.Path{"a", "b"} {
				if path == "b" && tc.damage != 0 {
					break
				}
				all, err := v.History(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				for i, end := range tc.ends {
					var want time.Time
					if end != none {
						want = eleven.Add(time.Duration(end) * time.Minute)
					}
					if one := all[len(all)-1-i]; one.Number != i+1 || !one.ReadableUntil.Equal(want) {
						t.Errorf("version %d of %s ends at %s, want %s", one.Number, path, one.ReadableUntil, want)
					}
				}
			}
		})
	}
}
