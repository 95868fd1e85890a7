package rest

import (
	"reflect"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Operation is a route as the document describes it.
type Operation struct {
	Method, Pattern, ID, Summary string
	Open, Query                  bool
	In                           reflect.Type
	Answers                      []OperationAnswer
}

// OperationAnswer is one answer of an [Operation].
type OperationAnswer struct {
	Status int
	Out    reflect.Type
}

// Operations lists the table.
func Operations() []Operation {
	var all []Operation
	for _, r := range operations() {
		o := Operation{r.method, r.pattern, r.id, r.summary, r.open, r.needsQuery(), r.in, nil}
		for _, a := range r.all() {
			o.Answers = append(o.Answers, OperationAnswer{a.status, a.out})
		}
		all = append(all, o)
	}
	return all
}

// RefusalStatuses are those of every error that the door knows.
func RefusalStatuses() (all []int) {
	for _, f := range failures {
		all = append(all, f.status)
	}
	for _, row := range refusals {
		all = append(all, row.status)
	}
	return all
}

// Parsed is what a request names: a path, an id, and the operation that answers
// it, "" for none.
func Parsed(method, escaped string) (path, id, operation string) {
	segments, err := split(escaped)
	if err != nil {
		return "", "", ""
	}
	c := &call{}
	r, _ := find(operations(), method, segments, c)
	if r == nil {
		return "", "", ""
	}
	return joined(c.named), c.id, r.id
}

// Routed is the operation of [Parsed].
func Routed(method, escaped string) string {
	_, _, operation := Parsed(method, escaped)
	return operation
}

// Decode is decode.
var Decode = decode

// The types that are not what they look like in JSON, and that of nothing.
var (
	NoneType     = reflect.TypeFor[none]()
	StampType    = reflect.TypeFor[stamp]()
	MomentType   = reflect.TypeFor[moment]()
	TextType     = reflect.TypeFor[plaintext]()
	DocumentType = reflect.TypeFor[document]()
)

// MetadataTwice is the metadata of a secret as its reading has it, written by hand,
// and as reflection writes it.
func MetadataTwice(m vault.Metadata) (byHand, byReflection []byte, err error) {
	out, err := about(m)
	if err != nil {
		return nil, nil, err
	}
	if byHand, err = out.appendOpen(nil); err != nil {
		return nil, nil, err
	}
	byReflection, err = appendJSON(nil, out)
	return append(byHand, '}'), byReflection, err
}
