package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// secretState is what the owner may believe of one path.
type secretState struct {
	live  string   // its value; "" when there is none
	trash []string // values of those deleted, last one on top
}

// action changes a state, or says with ok=false that the command refuses.
type action func(secretState) (next secretState, ok bool)

func setTo(value string) action {
	return func(s secretState) (secretState, bool) { return secretState{value, s.trash}, true }
}

func remove(s secretState) (secretState, bool) {
	if s.live == "" {
		return s, false
	}
	return secretState{"", append(slices.Clone(s.trash), s.live)}, true
}

func restore(s secretState) (secretState, bool) {
	if s.live != "" || len(s.trash) == 0 {
		return s, false
	}
	top := len(s.trash) - 1
	return secretState{s.trash[top], s.trash[:top]}, true
}

// belief is every state that a path may be in, after commands that may have
// been killed on the way.
type belief []secretState

// Outcomes of a command.
const (
	done = iota
	not
	unknown
)

// after is the belief once a command ended so; empty when that cannot be.
func (b belief) after(act action, outcome int) belief {
	var next belief
	for _, s := range b {
		to, ok := act(s)
		if ok && outcome != not {
			next = append(next, to)
		}
		if !ok && outcome != done || outcome == unknown {
			next = append(next, s)
		}
	}
	slices.SortFunc(next, func(x, y secretState) int { return strings.Compare(x.key(), y.key()) })
	return slices.CompactFunc(next, func(x, y secretState) bool { return x.key() == y.key() })
}

func (s secretState) key() string { return s.live + "|" + strings.Join(s.trash, ",") }

// narrow keeps the states in which the path has that value.
func (b belief) narrow(live string) belief {
	return slices.DeleteFunc(slices.Clone(b), func(s secretState) bool { return s.live != live })
}

func TestBelief(t *testing.T) {
	b := belief{{}}.after(setTo("1"), done).after(setTo("2"), unknown)
	if len(b) != 2 {
		t.Fatalf("%+v", b)
	}
	b = b.after(remove, done).after(restore, unknown).after(setTo("3"), done)
	if len(b.narrow("3")) != len(b) || len(b) == 0 {
		t.Fatalf("%+v", b)
	}
	if lost := b.after(remove, not); len(lost) != 0 {
		t.Errorf("a delete that must succeed was refused, and that passes: %+v", lost)
	}
}

// spending is one try to use a counted handle, or with look the count at the end.
type spending struct {
	ticket int
	look   bool
}

// spent is how it ended.
type spent struct {
	outcome int // done, not (no uses left), unknown
	used    int // of a look
}

// counter is the model of a handle with so many uses: each use that is granted
// takes one, each refusal finds none left. A try whose program was killed may
// have taken one, at any time until the end, or not.
func counter(uses map[int]int) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byTicket := map[int][]porcupine.Operation{}
			for _, op := range history {
				ticket := op.Input.(spending).ticket
				byTicket[ticket] = append(byTicket[ticket], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byTicket {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() []any { return []any{0} },
		Step: func(state, input, output any) []any {
			used, in, out := state.(int), input.(spending), output.(spent)
			free := used < uses[in.ticket]
			switch {
			case in.look && out.used == used, !in.look && out.outcome == not && !free:
				return []any{used}
			case in.look:
				return nil
			case out.outcome == done && free:
				return []any{used + 1}
			case out.outcome == unknown && free:
				return []any{used, used + 1}
			case out.outcome == unknown:
				return []any{used}
			default:
				return nil
			}
		},
		Equal: func(a, b any) bool { return a.(int) == b.(int) },
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v: %+v", input, output)
		},
	}
	return model.ToModel()
}

// TestCounterFindsWhatIsWrong: the model is not one that lets everything pass.
func TestCounterFindsWhatIsWrong(t *testing.T) {
	op := func(call, end int64, in spending, out spent) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: end}
	}
	one, look := spending{ticket: 1}, spending{ticket: 1, look: true}
	for name, tc := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"in turn":                   {[]porcupine.Operation{op(1, 2, one, spent{outcome: done}), op(3, 4, one, spent{outcome: done}), op(5, 6, one, spent{outcome: not})}, true},
		"one too many":              {[]porcupine.Operation{op(1, 9, one, spent{outcome: done}), op(1, 9, one, spent{outcome: done}), op(1, 9, one, spent{outcome: done})}, false},
		"refused while one is left": {[]porcupine.Operation{op(1, 2, one, spent{outcome: done}), op(3, 4, one, spent{outcome: not})}, false},
		"killed, and counted":       {[]porcupine.Operation{op(1, 9, one, spent{outcome: unknown}), op(3, 4, one, spent{outcome: done}), op(5, 6, one, spent{outcome: not})}, true},
		"lost":                      {[]porcupine.Operation{op(1, 2, one, spent{outcome: done}), op(3, 4, look, spent{used: 0})}, false},
		"counted twice":             {[]porcupine.Operation{op(1, 2, one, spent{outcome: done}), op(3, 4, look, spent{used: 2})}, false},
	} {
		if got := porcupine.CheckOperations(counter(map[int]int{1: 2}), tc.history); got != tc.want {
			t.Errorf("%s: linearizable is %v", name, got)
		}
	}
}

// linearizable checks a history, within a bound of time.
func linearizable(uses map[int]int, history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(counter(uses), history, time.Minute)
}
