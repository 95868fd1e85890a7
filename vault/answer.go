package vault

import (
	"slices"
	"strings"
)

// Show is how much of an upstream's answer the caller sees.
type Show string

// The ways to show an answer, the strictest last.
const (
	ShowFull   Show = ""       // status, headers and body
	ShowFields Show = "fields" // status, and some fields of a JSON body
	ShowStatus Show = "status" // the status alone
)

// Answer is how much of the answer to a request that carries the secret may be
// shown. Whatever is shown is scrubbed too. Its text form, written by
// [Answer.String] and read by [ParseAnswer], is one of
//
//	full
//	fields:/id,/choices/*/text   each a [Pointer] and all below it; "*" is every element of an array
//	status
type Answer struct {
	Show   Show      `json:"show,omitempty"`
	Fields []Pointer `json:"fields,omitempty"` // of ShowFields, sorted; of the others none
}

// MaxAnswerFields is the most fields of one [Answer].
const MaxAnswerFields = 50

// ParseAnswer reads the text form. The error is an *[InvalidError] of field "answer".
func ParseAnswer(s string) (Answer, error) {
	kind, list, listed := strings.Cut(s, ":")
	a := Answer{Show: Show(kind)}
	switch {
	case s == "full":
		return Answer{}, nil
	case a.Show == ShowFields && listed:
		for field := range strings.SplitSeq(list, ",") {
			a.Fields = append(a.Fields, Pointer(field))
		}
	case s != string(ShowStatus):
		return Answer{}, invalid("answer", "is not full, status, or fields: and JSON pointers such as fields:/id,/items/*/name")
	}
	return a, a.check()
}

// check sorts the fields and reports the first broken rule.
func (a *Answer) check() error {
	switch a.Show {
	case ShowFull, ShowStatus:
		if len(a.Fields) > 0 {
			return invalid("answer", "lists fields and does not say fields")
		}
		return nil
	case ShowFields:
	default:
		return invalid("answer", "is not full, fields or status")
	}
	if len(a.Fields) == 0 || len(a.Fields) > MaxAnswerFields {
		return invalid("answer", "does not list 1 to %d fields", MaxAnswerFields)
	}
	for _, p := range a.Fields {
		if !p.wellFormed() || len(p) > MaxPlaceBytes || strings.Contains(string(p), ",") {
			return invalid("answer", "has a field that is not a JSON pointer such as /items/*/name, or has a comma in it")
		}
	}
	a.Fields = slices.Clone(a.Fields)
	slices.Sort(a.Fields)
	a.Fields = slices.Compact(a.Fields)
	return nil
}

// String returns the text form.
func (a Answer) String() string {
	switch a.Show {
	case ShowFull:
		return "full"
	case ShowFields:
		fields := make([]string, len(a.Fields))
		for i, p := range a.Fields {
			fields[i] = string(p)
		}
		return "fields:" + strings.Join(fields, ",")
	case ShowStatus:
	}
	return string(ShowStatus)
}

// Equal reports whether two answers say the same.
func (a Answer) Equal(b Answer) bool {
	return a.Show == b.Show && slices.Equal(a.Fields, b.Fields)
}

// Every stands for each element of an array in the fields of an [Answer].
const Every = "*"
