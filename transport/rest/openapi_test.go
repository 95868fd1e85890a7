package rest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/invopop/jsonschema"

	"github.com/coatcheck-dev/coatcheck/transport/httperror"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
)

var update = flag.Bool("update", false, "rewrite what is generated and the goldens")

// TestOpenAPI holds the embedded document equal to the table of routes and the
// types that stand there.
func TestOpenAPI(t *testing.T) {
	golden(t, "openapi.json", generated(t))
}

// generated is the document as it should be.
func generated(tb testing.TB) []byte {
	tb.Helper()
	text, err := json.MarshalIndent(describe(), "", "  ")
	must(tb, err)
	return append(bytes.ReplaceAll(text, []byte("#/$defs/"), []byte("#/components/schemas/")), '\n')
}

// golden compares text with a file, or rewrites that.
func golden(t *testing.T, file string, text []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("no golden: run go test ./transport/rest -update and look at the difference: %v", err)
	}
	if !bytes.Equal(want, text) {
		t.Errorf("%s differs: run go test ./transport/rest -update and look at the difference\n%s", file, text)
	}
}

type object = map[string]any

// describe generates the document.
func describe() object {
	d := &describer{schemas: object{}}
	paths := object{}
	for _, o := range rest.Operations() {
		item, known := paths[o.Pattern].(object)
		if !known {
			item = object{}
			if parameters := d.inPath(o.Pattern); parameters != nil {
				item["parameters"] = parameters
			}
			paths[o.Pattern] = item
		}
		item[strings.ToLower(o.Method)] = d.operation(o)
	}
	problem := d.schema(reflect.TypeFor[httperror.Body]())
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "coatcheck", "version": "1",
			"summary":     "Secrets for programs, and the people who manage them.",
			"description": "Both editions of the Agent Secret Store on one set of routes: where a request or an answer names a thing twice, the names are theirs. Members that are not known are ignored in requests; a member given twice is refused. What a credential may do is for the desk to decide: each call is checked and recorded.",
			"license":     object{"name": "See LICENSE in the repository."},
		},
		"servers":  []any{object{"url": "/v1"}},
		"security": []any{object{"bearer": []any{}}, object{"agentKey": []any{}}},
		"paths":    paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"bearer":   object{"type": "http", "scheme": "bearer", "description": "An agent's or admin's key, or a scoped token."},
				"agentKey": object{"type": "apiKey", "in": "header", "name": "x-agent-key", "description": "The same."},
			},
			"responses": object{
				"HeaderTooLarge": object{"description": "The header fields are larger than the server reads. A short text, since nothing is known yet of who asks for what."},
				"Problem": object{
					"description": "What went wrong. A status of 429 says in Retry-After when to come back, in seconds. A method that a path does not have is a problem with the status 405, whose Allow lists those it has.",
					"headers":     object{"Retry-After": object{"schema": object{"type": "integer", "minimum": 1}}},
					"content":     content(problem),
				},
			},
		},
	}
}

func content(schema any) object { return object{"application/json": object{"schema": schema}} }

// describer collects the schemas that the operations refer to.
type describer struct{ schemas object }

func (d *describer) operation(o rest.Operation) object {
	out := object{"operationId": o.ID, "summary": o.Summary, "responses": d.responses(o)}
	if o.Open {
		out["security"] = []any{}
	}
	switch {
	case o.In == rest.NoneType:
	case o.Query:
		out["parameters"] = d.inQuery(o.In)
	default:
		body := object{"content": content(d.schema(o.In))}
		schema, _ := d.schemas[name(o.In)].(object)
		if required, ok := schema["required"].([]any); ok && len(required) > 0 {
			body["required"] = true
		}
		out["requestBody"] = body
	}
	return out
}

// The statuses of problems that every route has, by the network door in front of
// it, and those that a credential and the desk add. 405 has no place in an
// operation: it is the answer to a method that is none.
var (
	refused     = []string{"400", "403", "408", "413", "415", "429", "500", "503"}
	refusedDesk = []string{"401", "404", "409", "501", "502"}
)

func (d *describer) responses(o rest.Operation) object {
	out := object{}
	statuses := refused
	if !o.Open {
		statuses = slices.Concat(refused, refusedDesk)
	}
	for _, status := range statuses {
		out[status] = object{"$ref": "#/components/responses/Problem"}
	}
	out["431"] = object{"$ref": "#/components/responses/HeaderTooLarge"}
	bodies := map[int][]any{}
	for _, a := range o.Answers {
		status := strconv.Itoa(a.Status)
		if a.Out == rest.NoneType {
			out[status] = object{"description": "Done."}
			continue
		}
		bodies[a.Status] = append(bodies[a.Status], d.schema(a.Out))
	}
	for _, status := range slices.Sorted(maps.Keys(bodies)) {
		var schema any = object{"anyOf": bodies[status]}
		if len(bodies[status]) == 1 {
			schema = bodies[status][0]
		}
		out[strconv.Itoa(status)] = object{"description": "Done.", "content": content(schema)}
	}
	return out
}

// TestOpenAPIListsEveryRefusal: no error of the tables has a status that the
// document does not list.
func TestOpenAPIListsEveryRefusal(t *testing.T) {
	listed := slices.Concat(refused, refusedDesk)
	for _, status := range rest.RefusalStatuses() {
		if status != http.StatusMethodNotAllowed && !slices.Contains(listed, strconv.Itoa(status)) {
			t.Errorf("%d is not listed", status)
		}
	}
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// inPath describes the parameters that a pattern has.
func (*describer) inPath(pattern string) (out []any) {
	said := map[string]object{
		"path": {"description": "The path of a secret or a namespace. Its slashes may be sent as they are or as %2F; each segment is percent-encoded once.", "schema": object{"type": "string", "minLength": 1, "maxLength": 512}},
		"id":   {"description": "An id, as an answer gave it.", "schema": object{"type": "string", "minLength": 1}},
	}
	for _, found := range parameter.FindAllStringSubmatch(pattern, -1) {
		p := object{"name": found[1], "in": "path", "required": true}
		maps.Copy(p, said[found[1]])
		out = append(out, p)
	}
	return out
}

// inQuery makes a parameter of each member of a type.
func (d *describer) inQuery(kind reflect.Type) (out []any) {
	schema := d.reflect(kind)
	members, _ := schema["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		member, _ := members[name].(object)
		p := object{"name": name, "in": "query", "schema": member}
		if text, ok := member["description"]; ok {
			p["description"] = text
			delete(member, "description")
		}
		out = append(out, p)
	}
	return out
}

// schema returns a reference to the schema of a type, which it keeps.
func (d *describer) schema(kind reflect.Type) any {
	if kind == rest.DocumentType {
		return object{"type": "object", "description": "An OpenAPI 3.1 document."}
	}
	if _, known := d.schemas[name(kind)]; !known {
		schema := d.reflect(kind)
		maps.Copy(d.schemas, take(schema, "$defs"))
		d.schemas[name(kind)] = schema
	}
	return object{"$ref": "#/$defs/" + name(kind)}
}

func take(from object, name string) object {
	got, _ := from[name].(object)
	delete(from, name)
	return got
}

// name is a type as the document calls it.
func name(kind reflect.Type) string {
	switch kind {
	case reflect.TypeFor[httperror.Body]():
		return "Problem"
	case reflect.TypeFor[httperror.Error]():
		return "ProblemError"
	}
	first, rest := kind.Name()[:min(1, len(kind.Name()))], kind.Name()[min(1, len(kind.Name())):]
	return strings.ToUpper(first) + rest // "" for a type without a name
}

func (*describer) reflect(kind reflect.Type) object {
	text := func(s *jsonschema.Schema) *jsonschema.Schema { s.Type = "string"; return s }
	r := &jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, AllowAdditionalProperties: true, Namer: name,
		Mapper: func(kind reflect.Type) *jsonschema.Schema {
			switch kind {
			case rest.StampType, rest.MomentType:
				return text(&jsonschema.Schema{Format: "date-time"})
			case rest.TextType:
				return text(&jsonschema.Schema{WriteOnly: true})
			case reflect.TypeFor[jsontext.Value]():
				return &jsonschema.Schema{Type: "object"}
			}
			return nil
		},
	}
	compact, err := json.Marshal(r.ReflectFromType(kind))
	if err != nil {
		panic(err)
	}
	var out object
	if err := json.Unmarshal(compact, &out); err != nil {
		panic(err)
	}
	delete(out, "$schema") // that of OpenAPI 3.1 is 2020-12
	return out
}
