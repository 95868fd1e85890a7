package rest

import "time"

// stamp is a point in time on the wire: RFC 3339, UTC, as exact as the vault
// keeps it.
type stamp struct{ at time.Time }

// MarshalText implements [encoding.TextMarshaler].
func (s stamp) MarshalText() ([]byte, error) {
	return s.at.UTC().AppendFormat(nil, time.RFC3339Nano), nil
}

// at is t as an answer gives it, nil for a zero time.
func at(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	return &stamp{t}
}

// orNull is text as an answer gives it, nil for none.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
