package tools

import (
	"bytes"
	"encoding/json"
)

// encode returns v as compact JSON in which "<", ">" and "&" stay as they are:
// a model reads this text.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
