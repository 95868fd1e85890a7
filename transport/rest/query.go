package rest

import (
	"net/url"
	"strconv"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// query reads the arguments in a URL. The first broken rule stands in broken,
// by the argument's name and without its text.
type query struct {
	values url.Values
	broken error
}

// parseQuery reads a raw query. One that cannot be read is refused as a whole:
// what was meant by the rest of it nobody knows.
func parseQuery(raw string) (*query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &vault.InvalidError{Field: "the query", Rule: "cannot be read"}
	}
	return &query{values: values}, nil
}

// text is an argument that may stand once, "" when it does not.
func (q *query) text(name string) string {
	given := q.values[name]
	if len(given) > 1 {
		q.breaks(name, "is given twice")
	}
	if len(given) == 0 {
		return ""
	}
	return given[0]
}

// number is a whole number from low on, 0 when there is none. A number too large
// to count with is as good as the largest.
func (q *query) number(name string, low int) int {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil && n == 0:
		q.breaks(name, "is not a whole number")
	case n < int64(low):
		q.breaks(name, "is below "+strconv.Itoa(low))
	}
	return int(n)
}

// truth is true or false, absent when there is none.
func (q *query) truth(name string, absent bool) bool {
	switch q.text(name) {
	case "":
		return absent
	case "true":
		return true
	case "false":
		return false
	}
	q.breaks(name, "is not true or false")
	return absent
}

func (q *query) breaks(name, rule string) {
	if q.broken == nil {
		q.broken = &vault.InvalidError{Field: name, Rule: rule}
	}
}

// pageQuery is what every list takes.
type pageQuery struct {
	Limit  int    `json:"limit,omitzero" jsonschema:"minimum=1,default=50" jsonschema_description:"Items of a page; more than 200 means 200."`
	Cursor string `json:"cursor,omitempty" jsonschema_description:"The next_cursor of the page before."`
}

func (p *pageQuery) read(q *query) {
	if p.Limit = q.number("limit", 1); p.Limit == 0 {
		p.Limit = vault.DefaultPageSize
	}
	p.Limit = min(p.Limit, vault.MaxPageSize)
	p.Cursor = q.text("cursor")
}
