package rest

import (
	"net/http"
	"reflect"
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
// the query for GET and DELETE, else from the body, in which an empty body is an
// empty object.
func op[In, Out any](method, pattern, id, summary string, serve func(*Handler, *call, *In) (Out, error)) *route {
	return &route{
		method: method, pattern: pattern, id: id, summary: summary, parts: splitPattern(pattern),
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), status: http.StatusOK,
		serve: func(h *Handler, c *call) (any, error) {
			var in In
			switch into := any(&in).(type) {
			case *none:
			case fromQuery:
				q, err := parseQuery(c.r.URL.RawQuery)
				if err == nil {
					into.read(q)
					err = q.broken
				}
				if err != nil {
					return nil, err
				}
			default:
				if err := decode(c.body, into); err != nil {
					return nil, err
				}
			}
			return serve(h, c, &in)
		},
	}
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
