package rest

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// lifetime is how long a token is to live, in any spelling a client has: a
// number of seconds (the command line), or text such as "90s", "15m", "1h", "7d"
// (the SDK); text of digits alone is seconds too. Zero: not given.
type lifetime struct{ time.Duration }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (l *lifetime) UnmarshalJSONFrom(tokens *jsontext.Decoder) error {
	token, err := tokens.ReadToken()
	if err != nil {
		return err
	}
	text, unit := token.String(), time.Second
	switch kind := token.Kind(); {
	case kind == jsontext.KindNull:
		return nil
	case kind == jsontext.KindString && text != "":
		units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
		if u, named := units[text[len(text)-1]]; named {
			text, unit = text[:len(text)-1], u
		}
	case kind != jsontext.KindNumber:
		return badLifetime()
	}
	var n int64
	if token.Kind() == jsontext.KindNumber {
		n, err = wholeNumber(text)
	} else {
		n, err = strconv.ParseInt(text, 10, 64)
	}
	switch {
	case err != nil && n == 0, n < 1, text[0] == '+':
		return badLifetime()
	case n > int64(maxLifetime/unit): // also what is too large to count with
		return &vault.InvalidError{Field: "ttl", Rule: "is longer than a token may live, 86400 seconds"}
	}
	l.Duration = time.Duration(n) * unit
	return nil
}

func badLifetime() error {
	return &vault.InvalidError{Field: "ttl", Rule: `is not a number of seconds from 1 up, nor text such as "90s", "15m", "1h" or "1d"`}
}
