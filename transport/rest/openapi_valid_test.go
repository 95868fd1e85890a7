package rest_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/coatcheck-dev/coatcheck/transport/rest"
)

// TestOpenAPIIsValid holds the document to the schema that the OpenAPI
// Initiative publishes for OpenAPI 3.1 (spec.openapis.org/oas/3.1/schema/2022-10-07,
// Apache License 2.0), its schemas to the dialect of JSON Schema, and to what
// neither says: each operation has a name of its own, and every parameter of a
// path is described.
//
// A whole validator, pb33f/libopenapi, was tried: it takes minutes to build, and
// nothing else here would use it.
func TestOpenAPIIsValid(t *testing.T) {
	published, err := os.ReadFile("testdata/oas-3.1.json")
	must(t, err)
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(published))
	must(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(generated(t)))
	must(t, err)
	c := jsonschema.NewCompiler()
	must(t, c.AddResource("oas.json", schema))
	must(t, c.AddResource("https://desk/openapi.json", doc))
	oas, err := c.Compile("oas.json")
	must(t, err)
	if err := oas.Validate(doc); err != nil {
		t.Error(err)
	}

	root, _ := doc.(object)
	components, _ := root["components"].(object)
	schemas, _ := components["schemas"].(object)
	for name := range schemas {
		if _, err := c.Compile("https://desk/openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refs := regexp.MustCompile(`"\$ref": "(#/components/[^"]+)"`)
	for _, ref := range refs.FindAllSubmatch(generated(t), -1) {
		if !resolves(root, string(ref[1])) {
			t.Errorf("%s leads nowhere", ref[1])
		}
	}
	names := map[string]bool{}
	for _, o := range rest.Operations() {
		if names[o.ID] || o.ID == "" {
			t.Errorf("%s %s: operation %q is not the only one", o.Method, o.Pattern, o.ID)
		}
		names[o.ID] = true
		paths, _ := root["paths"].(object)
		item, _ := paths[o.Pattern].(object)
		described, _ := item["parameters"].([]any)
		if wanted := len(parameter.FindAllString(o.Pattern, -1)); len(described) != wanted {
			t.Errorf("%s: %d parameters are described, %d stand in it", o.Pattern, len(described), wanted)
		}
	}
}

// resolves reports whether a JSON pointer, as a fragment, leads somewhere.
func resolves(from object, ref string) bool {
	var found any = from
	unescaped := strings.NewReplacer("~1", "/", "~0", "~", "%7B", "{", "%7D", "}")
	for _, name := range regexp.MustCompile(`[^#/]+`).FindAllString(ref, -1) {
		in, _ := found.(object)
		found = in[unescaped.Replace(name)]
	}
	return found != nil
}
