package policy

import (
	"slices"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// answer is how much of what comes back the entries of "to" that cover t show
// together: as with limits the most generous counts, so that a rule more never
// shows less. Without a target it is not known yet, and all.
func answer(to []Narrow, t aim) (all vault.Answer) {
	if t.Target == nil {
		return all
	}
	all.Show = vault.ShowStatus
	for i := range to {
		if to[i].covers(t, false) {
			all = more(all, to[i].Answer)
		}
	}
	return all
}

// more returns what either of two answers shows.
func more(a, b vault.Answer) vault.Answer {
	switch {
	case a.Show == vault.ShowFull || b.Show == vault.ShowStatus:
		return a
	case b.Show == vault.ShowFull || a.Show == vault.ShowStatus:
		return b
	}
	fields := slices.Concat(a.Fields, b.Fields)
	slices.Sort(fields)
	return vault.Answer{Show: vault.ShowFields, Fields: slices.Compact(fields)}
}
