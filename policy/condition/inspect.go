package condition

import (
	"net/netip"
	"regexp/syntax"
	"slices"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// maxPatterns bounds the programs of an expression's patterns together, in
// instructions: matching takes one step for each of them and each character at
// worst, whatever cel-go's estimate says.
const maxPatterns = 1000

// inspection looks at a checked expression for what types do not tell: the
// variables it uses, and literals that mean nothing.
type inspection struct {
	c    *Compiler
	ast  *ast.AST
	expr *Expr
	bad  *Error // the first
	size int    // of the patterns so far, in instructions
}

func (l *inspection) fail(e ast.Expr, msg, hint string) {
	if l.bad == nil {
		l.bad = at(l.ast.SourceInfo().GetStartLocation(e.ID()))
		l.bad.Msg, l.bad.Hint = msg, hint
	}
}

func (l *inspection) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		if !slices.Contains(l.c.names[:len(variables)], e.AsIdent()) {
			l.fail(e, "the condition's types do not fit here", "")
		}
		l.expr.uses = append(l.expr.uses, e.AsIdent())
	case ast.SelectKind:
		l.visit(e.AsSelect().Operand())
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			l.visit(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			l.visit(entry.AsMapEntry().Key())
			l.visit(entry.AsMapEntry().Value())
		}
	case ast.CallKind:
		l.call(e)
	case ast.LiteralKind:
	case ast.StructKind, ast.ComprehensionKind, ast.UnspecifiedExprKind:
		l.fail(e, "a condition builds no messages and has no loops", "")
	}
}

func (l *inspection) call(e ast.Expr) {
	call := e.AsCall()
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	for _, arg := range args {
		l.visit(arg)
	}
	switch name := call.FunctionName(); {
	case name == operators.Equals, name == operators.NotEquals, name == operators.In:
		l.compared(args[0], args[1])
		l.compared(args[1], args[0])
	case name == "matches":
		l.literal(args[1], "a pattern", func(string) (string, string) {
			return "the pattern is not RE2, or too large", `write it like path.matches("^production/[a-z]+$")`
		}, l.pattern)
	case name == "cidr":
		l.literal(args[0], "a network", func(s string) (string, string) {
			switch p, err := netip.ParsePrefix(s); {
			case err != nil:
				return "not a network", `write it like cidr("10.0.0.0/8")`
			case p.Addr().Is4In6(): // of addresses, the part that is IPv4 is looked at
				return "the network is one of IPv4 written as IPv6, in which no address is", `write it like cidr("10.0.0.0/8")`
			default:
				return "the network has an address beyond its prefix", "write " + p.Masked().String()
			}
		}, func(s string) bool {
			p, err := netip.ParsePrefix(s)
			return err == nil && p == p.Masked() && !p.Addr().Is4In6()
		})
	case len(args) == 2 && l.isCalendar(name):
		l.literal(args[1], "a time zone", func(string) (string, string) {
			return "unknown time zone", `write it like "Europe/Berlin", "UTC" or "+02:00"`
		}, func(s string) bool {
			zone, ok := location(s)
			l.c.zones[s] = zone
			return ok
		})
	case name == "timestamp":
		l.constant(args[0], "not a point in time", `write it like timestamp("2026-01-31T00:00:00Z")`, func(s string) bool {
			_, err := time.Parse(time.RFC3339, s)
			return err == nil
		})
	case name == "duration":
		l.constant(args[0], "not a duration", `write it like duration("36h")`, func(s string) bool {
			_, err := time.ParseDuration(s)
			return err == nil
		})
	}
}

// compared checks the texts that a variable is compared with, if only some are
// possible.
func (l *inspection) compared(variable, with ast.Expr) {
	if variable.Kind() != ast.IdentKind {
		return
	}
	known, few := l.c.words[variable.AsIdent()]
	if !few {
		return
	}
	values := []ast.Expr{with}
	if with.Kind() == ast.ListKind {
		values = with.AsList().Elements()
	}
	for _, v := range values {
		if s, ok := text(v); ok && !slices.Contains(known, s) && l.bad == nil {
			l.fail(v, "unknown "+variable.AsIdent(), "")
			l.bad.Unknown, l.bad.Known = s, known
		}
	}
}

func (l *inspection) isCalendar(name string) bool {
	for _, get := range calendar {
		if get.name == name {
			return true
		}
	}
	return false
}

// literal checks an argument that must be a text written out.
func (l *inspection) literal(arg ast.Expr, what string, say func(string) (msg, hint string), good func(string) bool) {
	s, ok := text(arg)
	if !ok {
		l.fail(arg, what+" must be written out here, in quotes", "")
		return
	}
	if !good(s) {
		msg, hint := say(s)
		l.fail(arg, msg, hint)
	}
}

// constant checks an argument if it is a text written out.
func (l *inspection) constant(arg ast.Expr, msg, hint string, good func(string) bool) {
	if s, ok := text(arg); ok && !good(s) {
		l.fail(arg, msg, hint)
	}
}

func text(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

func (l *inspection) pattern(s string) bool {
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return false
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return false
	}
	l.size += len(program.Inst)
	return l.size <= maxPatterns
}
