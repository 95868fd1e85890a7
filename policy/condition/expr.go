package condition

import (
	"errors"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

var (
	// ErrUndecided says that the expression has no value for these facts: a tag that is
	// not there, a fact that is not known, a number out of range.
	ErrUndecided = errors.New("the condition has no value here")

	errNoConversion = errors.New("no such conversion")
)

// Facts are what an expression is asked about.
type Facts struct {
	Now    time.Time // zero: not known
	Agent  string
	Door   string
	Path   string
	Client string // what the client calls itself; a label, no identity
	IP     string // address without port; "" where there is none
	Secret *Secret
}

// Secret are the facts about the secret at the path. A nil Secret is one that
// was not looked up: asking for it is an error. An empty one is no secret.
type Secret struct {
	Tier string
	Tags map[string]string
}

// Expr is a compiled expression. It never changes and may be evaluated by many
// at the same time.
type Expr struct {
	text string
	plan interpreter.InterpretableV2
	uses []string
}

// String returns the text the expression was compiled from.
func (e *Expr) String() string { return e.text }

// Uses reports whether the expression asks for a variable.
func (e *Expr) Uses(variable string) bool { return slices.Contains(e.uses, variable) }

// NeedsSecret reports whether it asks for something about the secret: its tier
// or tags.
func (e *Expr) NeedsSecret() bool { return e.Uses("tier") || e.Uses("tags") }

// Holds reports whether the expression is true. The error is [ErrUndecided].
func (e *Expr) Holds(f *Facts) (bool, error) { return e.eval((*activation)(f)) }

// Constant returns the value of an expression whose facts do not matter.
func (e *Expr) Constant() (value, constant bool) {
	value, err := e.eval(interpreter.EmptyActivation())
	return value, err == nil
}

func (e *Expr) eval(a interpreter.Activation) (holds bool, err error) {
	// The cost limit ends an evaluation with a panic.
	defer func() {
		if recover() != nil {
			holds, err = false, ErrUndecided
		}
	}()
	frame, err := interpreter.NewExecutionFrame(a)
	if err != nil {
		return false, ErrUndecided
	}
	defer frame.Close()
	value, ok := e.plan.Exec(frame).(types.Bool)
	if !ok {
		return false, ErrUndecided
	}
	return bool(value), nil
}

// activation is Facts as an expression finds them, by name.
type activation Facts

// ResolveName returns a variable, or false when it is not known.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "now":
		return types.Timestamp{Time: a.Now}, !a.Now.IsZero()
	case "agent":
		return types.String(a.Agent), true
	case "door":
		return types.String(a.Door), true
	case "path":
		return types.String(a.Path), true
	case "client":
		return types.String(a.Client), true
	case "ip":
		return types.String(a.IP), true
	case "tier":
		if a.Secret != nil {
			return types.String(a.Secret.Tier), true
		}
	case "tags":
		if a.Secret != nil {
			return tags(a.Secret.Tags), true
		}
	}
	return nil, false
}

// Parent is nil: there are no other variables.
func (a *activation) Parent() interpreter.Activation { return nil }

func tags(t map[string]string) ref.Val {
	return types.NewStringStringMap(types.DefaultTypeAdapter, t)
}
