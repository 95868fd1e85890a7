package tools

import (
	"embed"
	"encoding/json"
	"slices"
)

// schemas holds NAME.input.json and NAME.output.json for each tool, generated
// from the argument and result types by the tests of this package (-update).
//
//go:embed schema/*.json
var schemas embed.FS

// schema returns one embedded file.
func schema(file string) json.RawMessage {
	text, err := schemas.ReadFile("schema/" + file + ".json")
	if err != nil {
		return nil // a test looks at every tool
	}
	return text
}

// arguments returns the names that an input schema knows, in order.
func arguments(input json.RawMessage) []string {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(input, &s) != nil {
		return nil
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
