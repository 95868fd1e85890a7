package vault

import "strings"

// Glob is the pattern of policy paths, agent names, scopes and URL paths:
// "*" matches any run of bytes, "/" included and the empty run too; nothing
// else is special (DESIGN §3). The zero Glob matches only the empty string.
type Glob string

// Match reports whether the whole of s matches g. It takes time proportional
// to len(g)·len(s) at worst, allocates nothing and never backtracks further
// than the last star.
func (g Glob) Match(s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(g) && g[p] == '*':
			star, mark = p, i
			p++
		case p < len(g) && g[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(g) && g[p] == '*' {
		p++
	}
	return p == len(g)
}

// Prefix returns the literal text before the first star and whether the glob
// is exactly that prefix followed by one star ("production/*"). A glob without
// a star returns itself and false.
func (g Glob) Prefix() (literal string, open bool) {
	i := strings.IndexByte(string(g), '*')
	if i < 0 {
		return string(g), false
	}
	return string(g[:i]), i == len(g)-1
}

// Literal reports whether g has no star, so that it matches one string only.
func (g Glob) Literal() bool { return !strings.Contains(string(g), "*") }
