package policy

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// to reads the list of destinations a rule narrows to. A deny rule may name
// hosts more widely.
func (r *reader) to(f field, deny bool) []Narrow {
	nodes := r.items(f, "{host: api.openai.com}")
	if len(nodes) > maxList {
		r.fail(start(f.value), "make several rules of it", "to has more than %d entries", maxList)
		return nil
	}
	narrows := make([]Narrow, 0, len(nodes))
	for _, n := range nodes {
		narrows = append(narrows, r.narrow(n, deny))
	}
	slices.SortFunc(narrows, compareNarrow)
	return slices.Clip(slices.CompactFunc(narrows, equalNarrow))
}

func (r *reader) narrow(n ast.Node, deny bool) Narrow {
	var out Narrow
	for _, f := range r.fields(n, toOfRule) {
		switch f.name {
		case "host":
			out.Host = r.host(f, deny)
		case "methods":
			out.Methods = list(r, f, "POST", r.method)
		case "paths":
			out.Paths = list(r, f, `"/v1/*"`, r.urlPath)
		case "answer":
			out.Answer = r.answer(f, deny)
		}
	}
	if out.Host == "" {
		r.fail(start(n), "add host: api.example.com", "an entry of to names no host")
	}
	return out
}

func (r *reader) host(f field, deny bool) string {
	s := r.text(f.value, f.name)
	if r.err != nil {
		return ""
	}
	parse := vault.ParseHostPattern
	if deny {
		parse = vault.ParseWideHostPattern
	}
	host, err := parse(s)
	if err != nil {
		msg, hint := err.Error(), "write a name, an address or *.example.com"
		switch {
		case s == "*":
			msg, hint = "host is not a name", "leave out to: for every destination of the secret"
		case strings.Contains(strings.TrimPrefix(s, "*."), "*"):
			msg = "host has a star inside; one may only stand for whole labels in front"
		case strings.ContainsAny(s, "/@") || strings.Count(s, ":") == 1:
			msg, hint = "host is more than a host", "write the host alone, without scheme, port and path"
		}
		r.fail(start(f.value), hint, "%s", msg)
	}
	return host
}

func (r *reader) answer(f field, deny bool) vault.Answer {
	s := r.text(f.value, f.name)
	if r.err != nil {
		return vault.Answer{}
	}
	if deny {
		r.fail(f.at, "remove it", "a deny rule has no answer")
	}
	a, err := vault.ParseAnswer(s)
	if err != nil {
		r.fail(start(f.value), "write full, status, or fields: and JSON pointers such as fields:/id,/items/*/name", "answer is none of the ways to show one")
	}
	return a
}

// method and urlPath use the rules of a secret's own destinations.
func (r *reader) method(n ast.Node) string {
	s := r.text(n, "a method")
	if r.err == nil && probe(func(h *vault.HTTPDestination) { h.Methods = []string{s} }) != nil {
		hint := "CONNECT and TRACE are never allowed"
		if upper := strings.ToUpper(s); upper != s {
			hint = "write " + quote(upper)
		}
		r.fail(start(n), hint, "a method must be an upper-case word such as POST")
	}
	return s
}

func (r *reader) urlPath(n ast.Node) vault.Glob {
	s := r.text(n, "a path")
	if r.err == nil && probe(func(h *vault.HTTPDestination) { h.Paths = []vault.Glob{vault.Glob(s)} }) != nil {
		r.fail(start(n), "write it like /v1/*", `a path of to starts with "/" and has no "%%", "?", "#", "\", "//", space or dot segment`)
	}
	return vault.Glob(s)
}

// probe checks one part of a destination with everything else in order.
func probe(set func(*vault.HTTPDestination)) error {
	h := vault.HTTPDestination{Scheme: "https", Host: "example.com", Port: 443, In: vault.Bearer}
	set(&h)
	d := vault.Destination{HTTP: &h}
	return d.Check()
}
