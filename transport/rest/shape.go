package rest

import (
	"net/http"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
)

// shape is a type that is read or written as JSON; the zero shape is none.
type shape = reflect.Type

// answer is one more answer that a route gives, beside its first.
type answer struct {
	status int
	out    shape
}

// none is the shape of nothing: no arguments, or an answer without a body.
type none struct{}

// fromQuery is what the arguments of GET and DELETE implement.
type fromQuery interface{ read(q *query) }

// op makes a route of a function. Its arguments are read before it runs: from
// the query for GET and DELETE, else from the body, of which an empty one is an
// empty object. A body is read also where the operation has no arguments.
func op[In, Out any](method, pattern, id, summary string, serve func(*Handler, *call, *In) (Out, error)) *route {
	return &route{
		method: method, pattern: pattern, id: id, summary: summary, parts: splitPattern(pattern),
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), status: http.StatusOK,
		serve: func(h *Handler, c *call) (any, error) {
			var in In
			if err := c.arguments(&in); err != nil {
				return nil, err
			}
			return serve(h, c, &in)
		},
	}
}

// arguments reads what c's operation is asked with. A member of a body where none
// is looked for is refused: who sent it means something that would not be done.
func (c *call) arguments(into any) error {
	if !c.route.needsQuery() {
		return decode(c.body, into)
	}
	var members map[string]jsontext.Value
	if err := decode(c.body, &members); err != nil {
		return err
	}
	if len(members) > 0 {
		return badBody("has no place in this method, whose arguments stand in the query")
	}
	from, ok := into.(fromQuery)
	if !ok {
		return nil
	}
	q, err := parseQuery(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	from.read(q)
	return q.broken
}

// with adds an answer to those that the document names. A route whose function
// returns any has no other.
func (r *route) with(status int, out any) *route {
	r.also = append(r.also, answer{status, reflect.TypeOf(out)})
	return r
}

// withoutKey makes a route that needs no credential.
func (r *route) withoutKey() *route {
	r.open = true
	return r
}

// answers sets the status that a route answers with unless its answer knows
// better; 200 by itself.
func (r *route) answers(status int) *route {
	r.status = status
	return r
}

// all are the answers of a route that refuses nothing.
func (r *route) all() []answer {
	switch {
	case r.out.Kind() == reflect.Interface:
		return r.also
	case r.out == reflect.TypeFor[none]():
		return append([]answer{{http.StatusNoContent, r.out}}, r.also...)
	}
	return append([]answer{{r.status, r.out}}, r.also...)
}
