package redeem

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// MaxFillBytes is the longest value that is put into a request.
const MaxFillBytes = 16 << 10

// filled is a request with the values in it, about to be sent.
type filled struct {
	query   string
	body    string
	headers []Field
}

// fill puts each value into the slots of its handle, after checking once more
// that each handle has one and stands where its placement says.
func (p *Prepared) fill(values map[string]secret.Value, places map[string]Placement) (filled, error) {
	out := filled{query: p.query, body: p.body, headers: slices.Clone(p.headers)}
	open := map[string]string{}
	for _, handle := range p.Handles() {
		place, placed := places[handle]
		value, known := values[handle]
		if !placed || !known {
			return filled{}, refuse(CodePlace, "A handle in the request was not redeemed.", "")
		}
		if err := p.fits(handle, place); err != nil {
			return filled{}, err
		}
		plain := value.Reveal() //nolint:forbidigo // the one place where a value enters an HTTP request
		if reason := unfit(plain, place.Destination.In); reason != "" {
			return filled{}, refuse(CodeValue, "The secret "+reason+".", "A human must store it again, or change where it goes.")
		}
		open[handle] = string(plain)
	}
	// From the back, so that the offsets of earlier slots stay right.
	for _, s := range slices.Backward(p.slots) {
		place := places[s.Handle].Destination.In
		text := place.Fill(open[s.Handle])
		switch place.In {
		case vault.InQuery:
			out.query = out.query[:s.start] + encodeQuery(text) + out.query[s.end:]
		case vault.InBasic:
			out.headers[s.header].Value = "Basic " + base64.StdEncoding.EncodeToString([]byte(text))
		case vault.InJSON, vault.InForm:
			out.body = out.body[:s.start] + s.encode(text) + out.body[s.end:]
		case vault.InHeader:
			out.headers[s.header].Value = text
		}
	}
	return out, nil
}

// unfit returns why value cannot stand in place, or "".
func unfit(value []byte, place vault.Place) string {
	if len(value) == 0 || len(value) > MaxFillBytes {
		return "is empty or longer than 16 KiB"
	}
	inBody := place.In == vault.InJSON || place.In == vault.InForm
	for _, c := range value {
		if inBody && (c == '\n' || c == '\r' || c == '\t') {
			continue // a PEM key; the encoders of bodies write line breaks safely
		}
		if c < ' ' || c == 0x7f {
			return "has a line break or another control character in it"
		}
		if place.In == vault.InHeader && c > '~' {
			return "has a character that is not ASCII and goes into a header"
		}
	}
	text := place.Fill(string(value))
	switch place.In {
	case vault.InHeader:
		if strings.Trim(text, " ") != text {
			return "starts or ends with a space and goes into a header"
		}
	case vault.InQuery, vault.InForm: // any byte, percent-encoded or between boundaries
	case vault.InJSON: // RFC 8259 §8.1
		if !utf8.Valid(value) {
			return "is not text in UTF-8 and goes into a JSON body"
		}
	case vault.InBasic: // RFC 7617 §2: no colon in the user name
		if strings.Index(place.Template, vault.Hole) < strings.IndexByte(place.Template, ':') && strings.Contains(string(value), ":") {
			return "has a colon in it and goes into the user name of Basic credentials"
		}
	}
	return ""
}
