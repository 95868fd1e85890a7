package policy

import (
	"slices"
	"strings"
)

// Reach returns the literal path prefixes under which the subject may be
// allowed something, sorted, none starting with another; "" is every path.
// Outside of them everything is denied. Inside them ask [Policy.Decide] for
// each path: a prefix says nothing about what stands after it. The slice is
// shared and must not be changed.
func (p *Policy) Reach(s Subject, right Right) []string {
	if p == nil || s.Agent == "" {
		return nil
	}
	return p.view(s, right).reach
}

// reach leaves out what a deny rule covers whole.
func reach(rules []*Rule, right Right) []string {
	var allowed, denied []string
	for _, r := range rules {
		for _, g := range r.Paths {
			prefix, open := g.Prefix()
			switch {
			case !r.Deny:
				allowed = append(allowed, prefix)
			case open && r.when == nil && !r.narrows(right):
				denied = append(denied, prefix)
			}
		}
	}
	denied = dropCovered(denied)
	var kept []string
	for _, p := range dropCovered(allowed) {
		// The only one that can cover p is the last that does not sort after it.
		i, found := slices.BinarySearch(denied, p)
		if found || i > 0 && strings.HasPrefix(p, denied[i-1]) {
			continue
		}
		kept = append(kept, p)
	}
	return slices.Clip(kept)
}
