package rest

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// joinMetadata is edition B's metadata: the tags, and beside them what is no
// text. A tag of the same name comes first.
func joinMetadata(tags map[string]string, extra string) (jsontext.Value, error) {
	switch {
	case extra != "" && len(tags) == 0:
		return jsontext.Value(extra), nil
	case extra == "" && len(tags) == 0:
		return jsontext.Value("{}"), nil
	case extra == "":
		return appendJSON(nil, tags)
	}
	members := map[string]any{}
	var others map[string]jsontext.Value
	if err := json.Unmarshal([]byte(extra), &others); err != nil {
		return nil, err
	}
	for name, member := range others {
		members[name] = member
	}
	for name, text := range tags {
		members[name] = text
	}
	return appendJSON(nil, members)
}

// splitMetadata takes edition B's metadata apart: members that are text are
// tags, the others go into extra (CONTRACT R4). null, which the published SDK
// always sends, and nothing at all mean: keep what is there (§19.28).
func splitMetadata(object jsontext.Value) (tags *map[string]string, extra *string, err error) {
	switch {
	case object == nil || object.Kind() == jsontext.KindNull:
		return nil, nil, nil
	case object.Kind() != jsontext.KindBeginObject:
		return nil, nil, &vault.InvalidError{Field: "metadata", Rule: "is not an object"}
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, nil, err
	}
	texts := map[string]string{}
	for name, member := range members {
		if member.Kind() != jsontext.KindString {
			continue
		}
		text, err := jsontext.AppendUnquote(nil, member)
		if err != nil {
			return nil, nil, err
		}
		texts[name] = string(text)
		delete(members, name)
	}
	rest, err := appendJSON(nil, members)
	if err != nil {
		return nil, nil, err
	}
	others := string(rest)
	return &texts, &others, nil
}
