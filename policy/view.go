package policy

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// viewKey is what is compiled for: all of a request but path and target.
type viewKey struct {
	agent string
	stdio bool
	door  Door
	right Right
}

// views holds the compiled views of a policy. Each is made when first asked
// for. Agents whom the same rules concern share one.
type views struct {
	mu      sync.RWMutex
	byKey   map[viewKey]*view
	byRules map[string]*view // by the ranks of the rules in it, and the right
}

// maxViews bounds the memory for names that come once and never again.
const maxViews = 4096

// view returns the rules that concern a subject and a right, compiled.
func (p *Policy) view(s Subject, right Right) *view {
	key := viewKey{s.Agent, s.Stdio, s.Door, right}
	p.views.mu.RLock()
	v, ok := p.views.byKey[key]
	p.views.mu.RUnlock()
	if ok {
		return v
	}
	var rules []*Rule
	id := []byte(right)
	for _, r := range p.ranked {
		if slices.Contains(r.Rights, right) && slices.Contains(r.Doors, s.Door) && r.names(s) {
			rules = append(rules, r)
			id = binary.AppendUvarint(id, uint64(r.rank)) //nolint:gosec // an index
		}
	}
	return p.views.add(key, string(id), rules)
}

func (w *views) add(key viewKey, id string, rules []*Rule) *view {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil || len(w.byKey) >= maxViews {
		w.byKey, w.byRules = map[viewKey]*view{}, map[string]*view{}
	}
	v, ok := w.byRules[id]
	if !ok {
		v = compile(rules, key.right)
		w.byRules[id] = v
	}
	key.agent = strings.Clone(key.agent) // it may be part of a larger text
	w.byKey[key] = v
	return v
}

// view is the rules for one kind of question, found by path.
type view struct {
	trie   trie
	reach  []string
	unseen bool // some condition asks for a tier or tags
}

// cell holds the rules whose path glob has the same literal prefix.
type cell struct {
	open   *group   // prefix*: matches whatever comes after
	exact  *group   // no star: matches the prefix alone
	shaped []shaped // other globs, tried one by one
}

type shaped struct {
	glob vault.Glob
	rule *Rule
}

// group is rules that match together, summed up so that their number costs
// nothing.
type group struct {
	deny   *Rule // the first by rank of the deny rules without "to"
	allow  tally // allow rules without "to"
	narrow *narrowed
	when   []*Rule // rules with a condition, tried one by one, in no other field
}

// narrowed is the rules of a group that have a "to".
type narrowed struct {
	allow  tally              // the allow rules, all of them: for a target not known yet
	rules  []*Rule            // the allow rules
	byHost map[string][]*Rule // allow and deny rules by host; for "*.suffix" the key is ".suffix"
}

// tally is allow rules that hold, taken together.
type tally struct {
	rule      *Rule // the first by rank
	shape     *Rule // the first by rank that has a shape
	limits    Limits
	permanent bool // one of them has permanent, and the right is delete
}

func (t *tally) add(r *Rule, right Right) {
	if t.rule == nil {
		t.limits = r.Limits
	} else {
		t.limits = moreGenerous(t.limits, r.Limits)
	}
	t.rule = first(t.rule, r)
	t.permanent = t.permanent || r.Permanent && right == Delete
	if r.Shape != "" {
		t.shape = first(t.shape, r)
	}
}

func first(a, b *Rule) *Rule {
	if a == nil || b != nil && b.rank < a.rank {
		return b
	}
	return a
}

func compile(rules []*Rule, right Right) *view {
	type entry struct {
		prefix string
		glob   vault.Glob
		rule   *Rule
	}
	var (
		entries  []entry
		prefixes []string
		cells    []cell
		v        view
	)
	for _, r := range rules {
		v.unseen = v.unseen || r.when != nil && r.when.NeedsSecret()
		for _, g := range r.Paths {
			prefix, _ := g.Prefix()
			entries = append(entries, entry{prefix, g, r})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.prefix, b.prefix) })
	for _, e := range entries {
		if len(prefixes) == 0 || prefixes[len(prefixes)-1] != e.prefix {
			prefixes, cells = append(prefixes, e.prefix), append(cells, cell{})
		}
		cells[len(cells)-1].add(e.glob, e.rule, right)
	}
	v.trie = newTrie(prefixes, slices.Clip(cells))
	v.reach = reach(rules, right)
	return &v
}

func (c *cell) add(glob vault.Glob, r *Rule, right Right) {
	_, open := glob.Prefix()
	switch {
	case open:
		c.open = c.open.add(r, right)
	case glob.Literal():
		c.exact = c.exact.add(r, right)
	default:
		c.shaped = append(c.shaped, shaped{glob, r})
	}
}

func (g *group) add(r *Rule, right Right) *group {
	if g == nil {
		g = &group{}
	}
	switch {
	case r.when != nil:
		g.when = append(g.when, r)
	case r.narrows(right):
		g.narrow = g.narrow.add(r)
	case r.Deny:
		g.deny = first(g.deny, r)
	default:
		g.allow.add(r, right)
	}
	return g
}

func (n *narrowed) add(r *Rule) *narrowed {
	if n == nil {
		n = &narrowed{byHost: map[string][]*Rule{}}
	}
	if !r.Deny {
		n.allow.add(r, Use)
		n.rules = append(n.rules, r)
	}
	for _, to := range r.To {
		host := strings.TrimPrefix(to.Host, "*")
		if same := n.byHost[host]; len(same) == 0 || same[len(same)-1] != r {
			n.byHost[host] = append(same, r)
		}
	}
	return n
}
