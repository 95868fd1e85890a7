package policy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// aim is a target, and how it may be read.
type aim struct {
	*vault.Target // nil: not known
	// readings are other URL paths that some server takes the path for. Deny
	// rules match them as well; allow rules match the path as it is.
	readings []string
}

func newAim(t *vault.Target) aim {
	if t == nil {
		return aim{}
	}
	return aim{t, readings(t.Path)}
}

// readings returns what servers make of a canonical path beyond the path
// itself: with the parameters of its segments dropped (";" to the next "/",
// RFC 3986 §3.3), as Java servers do, with its escapes undone, or both.
func readings(path string) []string {
	if !strings.ContainsAny(path, ";%") {
		return nil
	}
	bare := withoutParameters(path)
	out := []string{bare, unescaped(path), unescaped(bare), withoutParameters(unescaped(path))}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(p string) bool { return p == path })
}

func withoutParameters(path string) string {
	var b strings.Builder
	for rest := path; ; {
		before, after, found := strings.Cut(rest, ";")
		b.WriteString(before)
		end := strings.IndexByte(after, '/')
		if !found || end < 0 {
			return b.String()
		}
		rest = after[end:]
	}
}

func unescaped(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// reaches reports whether t is one of the rule's targets; a rule without "to"
// reaches every target.
func (r *Rule) reaches(t aim) bool {
	for i := range r.To {
		if r.To[i].covers(t, r.Deny) {
			return true
		}
	}
	return len(r.To) == 0
}

// covers decides on the safe side: what allows matches narrowly, what denies
// matches every host below a star and every reading of the path.
func (n *Narrow) covers(t aim, deny bool) bool {
	host := vault.MatchHost(n.Host, t.Host) || deny && vault.MatchHostWide(n.Host, t.Host)
	if !host || len(n.Methods) > 0 && !slices.Contains(n.Methods, t.Method) {
		return false
	}
	if len(n.Paths) == 0 {
		return true
	}
	for _, g := range n.Paths {
		if g.Match(t.Path) || deny && slices.ContainsFunc(t.readings, g.Match) {
			return true
		}
	}
	return false
}
