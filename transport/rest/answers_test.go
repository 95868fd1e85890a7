package rest_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/coatcheck-dev/coatcheck/transport/rest"
)

// documented compiles the schemas of the document.
var documented struct {
	sync.Mutex
	compiler *jsonschema.Compiler
	doc      object
}

// checkAnswer holds every answer that a test sees to the document: its status is
// there, and its body fits the schema.
func checkAnswer(tb testing.TB, operation string, got reply) {
	tb.Helper()
	documented.Lock()
	defer documented.Unlock()
	if documented.compiler == nil {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(generated(tb)))
		must(tb, err)
		documented.compiler = jsonschema.NewCompiler()
		must(tb, documented.compiler.AddResource("https://desk/openapi.json", doc))
		documented.doc, _ = doc.(object)
	}
	status, at := strconv.Itoa(got.status), ""
	if operation == "" { // no operation, so nothing but these
		if !slices.Contains([]int{400, 401, 404, 405}, got.status) {
			tb.Fatalf("no route answered %d", got.status)
		}
	} else if at = place(tb, operation); !resolves(documented.doc, at+"/responses/"+status) {
		tb.Fatalf("%s answers %s, which the document does not know", operation, status)
	}
	if got.status == 204 {
		if got.body != "" {
			tb.Errorf("%s: 204 with a body", operation)
		}
		return
	}
	pointer := at + "/responses/" + status + "/content/application~1json/schema"
	if got.status >= 400 {
		pointer = "/components/responses/Problem/content/application~1json/schema"
	}
	schema, err := documented.compiler.Compile("https://desk/openapi.json#" + pointer)
	if err != nil {
		tb.Fatalf("%s answers %s, which the document does not know: %v", operation, status, err)
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(got.body))
	if err != nil {
		tb.Fatalf("%s: %d %q: %v", operation, got.status, got.body, err)
	}
	if err := schema.Validate(body); err != nil {
		tb.Errorf("%s: %d %s\n%v", operation, got.status, got.body, err)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json" {
		tb.Errorf("%s: Content-Type %q", operation, kind)
	}
}

// place is where the document describes an operation, as a JSON pointer.
func place(tb testing.TB, operation string) string {
	tb.Helper()
	for _, o := range rest.Operations() {
		if o.ID == operation {
			pattern := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(o.Pattern)
			return "/paths/" + pattern + "/" + strings.ToLower(o.Method)
		}
	}
	tb.Fatalf("no operation %s", operation)
	return ""
}

func routed(method, target string) string {
	escaped, _, _ := strings.Cut(target, "?")
	return rest.Routed(method, escaped)
}

func operations() (all []string) {
	for _, o := range rest.Operations() {
		all = append(all, o.ID)
	}
	return all
}
