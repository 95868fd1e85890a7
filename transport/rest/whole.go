package rest

import (
	"errors"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// whole is a whole number in a body, in any spelling of JSON: 3600, 3600.0 and
// 36e2 are the same integer to JSON Schema, and so to clients whose language knows
// one kind of number.
type whole int64

var errNotWhole = errors.New("not a whole number")

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (w *whole) UnmarshalJSONFrom(tokens *jsontext.Decoder) error {
	token, err := tokens.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != jsontext.KindNumber {
		return errNotWhole
	}
	n, err := wholeNumber(token.String())
	*w = whole(n)
	return err
}

// maxExact is up to where a float64 holds every whole number; none here is larger.
const maxExact = 1 << 53

// wholeNumber reads the text of a number. One that is too large to count with is
// as good as the largest.
func wholeNumber(text string) (int64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if math.IsInf(f, 0) {
		err = nil
	}
	if err != nil || f != math.Trunc(f) {
		return 0, errNotWhole
	}
	return int64(min(max(f, -maxExact), maxExact)), nil
}
