// Package secret holds plaintext in a wrapper that cannot be printed by
// accident.
//
// The one rule: the bytes of a [Value] leave it through [Value.Reveal] and by
// no other way. Every print verb, slog handler, JSON or text encoder and panic
// shows "[secret]" instead, also when the Value sits in an unexported field of
// another type.
//
//	v := secret.New([]byte("sk-proj-…"))
//	fmt.Printf("%+v", struct{ v secret.Value }{v}) // shows no byte of it
//	use(v.Reveal())
//
// Choice: the bytes live behind a closure. A []byte type with Format and
// LogValue was rejected because fmt cannot call methods on another struct's
// unexported field and prints the bytes there. The tests hold this on every
// verb; a new Go release that prints captured variables would fail them.
//
// The package does not wipe memory: Go's collector copies, so a promise to
// erase would be empty. It imports the standard library only.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
	"unicode/utf8"
)

// Placeholder is what every printed, logged or encoded [Value] looks like.
const Placeholder = "[secret]"

// Value is one plaintext. The zero Value is empty and [Value.IsZero].
// A Value is immutable and safe for concurrent use.
type Value struct{ open func() []byte }

// New copies b into a Value; the caller keeps ownership of b and may wipe it.
func New(b []byte) Value {
	held := make([]byte, len(b))
	copy(held, b)
	return Value{open: func() []byte { return held }}
}

// Reveal returns a copy of the plaintext, which the caller owns. It is the
// only way out; the linter lists the packages that may call it.
func (v Value) Reveal() []byte {
	if v.open == nil {
		return nil
	}
	held := v.open()
	out := make([]byte, len(held))
	copy(out, held)
	return out
}

// IsZero reports whether v holds no bytes.
func (v Value) IsZero() bool { return v.Len() == 0 }

// Given reports whether v was made by [New], from no bytes perhaps. It tells
// "an empty value" from "no value".
func (v Value) Given() bool { return v.open != nil }

// Len returns the number of bytes. It serves size limits; a length is never
// logged nor shown to a model.
func (v Value) Len() int {
	if v.open == nil {
		return 0
	}
	return len(v.open())
}

// IsText reports whether the bytes are valid UTF-8. A value that is not is
// carried as base64 wherever only text fits.
func (v Value) IsText() bool { return v.open == nil || utf8.Valid(v.open()) }

// Equal compares in time that depends on the lengths only.
func (v Value) Equal(w Value) bool {
	if v.open == nil || w.open == nil {
		return v.Len() == 0 && w.Len() == 0
	}
	return subtle.ConstantTimeCompare(v.open(), w.open()) == 1
}

// Format writes [Placeholder] for every verb and flag.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Placeholder)) }

// LogValue returns [Placeholder].
func (Value) LogValue() slog.Value { return slog.StringValue(Placeholder) }

// MarshalJSON returns [Placeholder] as a JSON string.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Placeholder + `"`), nil }

// MarshalText returns [Placeholder].
func (Value) MarshalText() ([]byte, error) { return []byte(Placeholder), nil }
