package condition

import (
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/checker"
	celsource "cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/containers"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
	"cel.dev/cel-go/parser"
)

// Bounds of one expression, and of a compiler.
const (
	MaxLength = 1024 // characters
	MaxDepth  = 32   // levels of what stands within what
	// MaxCost is in cel-go's units, about one for each step and for ten
	// characters looked at.
	MaxCost = 10_000
	// MaxExpressions bounds the time a policy takes to read: compiling one takes
	// 0.1 ms. Expressions with the same text are one.
	MaxExpressions = 1000
)

// variables are the names an expression may use, with their types.
var variables = []struct {
	name string
	kind *types.Type
}{
	{"now", types.TimestampType},
	{"agent", types.StringType},
	{"door", types.StringType},
	{"path", types.StringType},
	{"tier", types.StringType},
	{"tags", types.NewMapType(types.StringType, types.StringType)},
	{"client", types.StringType},
	{"ip", types.StringType},
}

// standard are the functions and operators taken from CEL's own. What is not
// here does not exist: a function that is added must not loop or choose a
// pattern.
var standard = map[string]bool{
	operators.Conditional: true, operators.LogicalAnd: true, operators.LogicalOr: true, operators.LogicalNot: true,
	operators.Equals: true, operators.NotEquals: true,
	operators.Less: true, operators.LessEquals: true, operators.Greater: true, operators.GreaterEquals: true,
	operators.Add: true, operators.Subtract: true, operators.Multiply: true, operators.Divide: true, operators.Modulo: true, operators.Negate: true,
	operators.In: true, operators.Index: true,
	overloads.Size: true, overloads.StartsWith: true, overloads.EndsWith: true, overloads.Contains: true, overloads.Matches: true,
	overloads.TypeConvertTimestamp: true, overloads.TypeConvertDuration: true, overloads.TypeConvertInt: true,
}

// Compiler compiles the expressions of one policy. It is used by one goroutine;
// the expressions it made may be evaluated by many.
type Compiler struct {
	parser  *parser.Parser
	env     *checker.Env
	plans   interpreter.Interpreter
	tracker *cost.Tracker
	names   []string // variables and functions
	words   map[string][]string
	zones   map[string]*time.Location
	made    map[string]*Expr
}

// NewCompiler returns a Compiler. words are all the values that a variable can
// have: comparing it with another text is a mistake that is told. The error is a
// fault of this program.
func NewCompiler(words map[string][]string) (*Compiler, error) {
	c := &Compiler{words: words, zones: map[string]*time.Location{}, made: map[string]*Expr{}}
	var err error
	if c.parser, err = parser.NewParser(
		parser.EnablePrattParser(true), parser.Macros(parser.HasMacro),
		parser.MaxRecursionDepth(MaxDepth), parser.ExpressionSizeCodePointLimit(MaxLength),
	); err != nil {
		return nil, err
	}
	types := types.NewEmptyRegistry()
	if c.env, err = checker.NewEnv(containers.DefaultContainer, types); err != nil {
		return nil, err
	}
	for _, v := range variables {
		c.names = append(c.names, v.name)
		if err = c.env.AddIdents(decls.NewVariable(v.name, v.kind)); err != nil {
			return nil, err
		}
	}
	own, err := c.functions()
	if err != nil {
		return nil, err
	}
	for _, f := range stdlib.Functions() {
		if standard[f.Name()] {
			own = append(own, f)
		}
	}
	table := interpreter.NewDispatcher()
	for _, f := range own {
		if !strings.ContainsAny(f.Name(), "_!-@?") {
			c.names = append(c.names, f.Name())
		}
		bindings, err := f.Bindings()
		if err == nil {
			err = table.Add(bindings...)
		}
		if err != nil {
			return nil, err
		}
	}
	if err = c.env.AddFunctions(own...); err != nil {
		return nil, err
	}
	if c.tracker, err = cost.NewTracker(nil, cost.TrackerLimit(MaxCost)); err != nil {
		return nil, err
	}
	c.plans = interpreter.NewInterpreter(table, containers.DefaultContainer, types, types,
		interpreter.NewAttributeFactory(containers.DefaultContainer, types, types))
	return c, nil
}

// Compile checks one expression. The same text is compiled once.
func (c *Compiler) Compile(text string) (*Expr, *Error) {
	if e, ok := c.made[text]; ok {
		return e, nil
	}
	if len(c.made) >= MaxExpressions {
		return nil, &Error{Line: 1, Column: 1, Msg: fmt.Sprintf("the policy has more than %d different conditions", MaxExpressions), Hint: "compare variables, as in tags.team == agent"}
	}
	source := celsource.NewTextSource(text)
	parsed, errs := c.parser.Parse(source)
	if len(errs.GetErrors()) > 0 {
		return nil, syntaxError(text, errs)
	}
	checked, errs := checker.Check(parsed, source, c.env)
	if len(errs.GetErrors()) > 0 {
		return nil, c.typeError(text, errs)
	}
	e := &Expr{text: text}
	look := inspection{c: c, ast: checked, expr: e}
	if look.visit(checked.Expr()); look.bad != nil {
		return nil, look.bad
	}
	if kind := checked.GetType(checked.Expr().ID()); !kind.IsExactType(types.BoolType) {
		return nil, &Error{Line: 1, Column: 1, Msg: "a condition must be true or false, not " + name(kind)}
	}
	estimate, err := cost.Cost(checked, sizes{})
	if err != nil || estimate.Max > MaxCost {
		return nil, &Error{Line: 1, Column: 1, Msg: "the condition may take too long", Hint: "shorten its patterns and lists"}
	}
	if e.plan, err = c.plan(checked); err != nil {
		return nil, &Error{Line: 1, Column: 1, Msg: "the condition cannot be evaluated"}
	}
	if _, known := e.Constant(); !known && len(e.uses) == 0 {
		return nil, &Error{Line: 1, Column: 1, Msg: "the condition has no value whatever is asked"}
	}
	c.made[text] = e
	return e, nil
}

func (c *Compiler) plan(checked *ast.AST) (interpreter.InterpretableV2, error) {
	plan, err := c.plans.NewInterpretable(checked,
		interpreter.Optimize(),
		interpreter.CompileRegexConstants(interpreter.MatchesRegexOptimization),
		interpreter.CostObserver(interpreter.CostTrackerFactory(c.tracker.Clone)),
	)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return plan, nil
}

// sizes are the largest values of the variables, for the estimate. They are
// the bounds of agents' names, paths, tags and what clients call themselves.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	most, ok := map[string]uint64{
		"agent": 64, "door": 8, "path": 512, "tier": 16, "client": 256, "ip": 64,
		"tags": 50, "tags.@keys": 256, "tags.@values": 256,
	}[strings.Join(n.Path(), ".")]
	if !ok {
		if len(n.Path()) != 2 || n.Path()[0] != "tags" {
			return nil
		}
		most = 256
	}
	return &cost.SizeEstimate{Max: most}
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
