package tools_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/tools"
)

var update = flag.Bool("update", false, "rewrite the generated schemas")

// TestSchemas holds the embedded schemas equal to the argument and result types.
func TestSchemas(t *testing.T) {
	r := &jsonschema.Reflector{
		Anonymous: true, DoNotReference: true,
		Mapper: func(kind reflect.Type) *jsonschema.Schema {
			switch kind {
			case tools.FieldsType:
				most := uint64(redeem.MaxHeaders)
				return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "string"}, MaxProperties: &most}
			case tools.ObjectType:
				return &jsonschema.Schema{Type: "object", AdditionalProperties: jsonschema.TrueSchema}
			default:
				return nil
			}
		},
	}
	want := map[string]bool{}
	for name, types := range tools.SchemaTypes {
		for i, kind := range []string{"input", "output"} {
			file := filepath.Join("schema", name+"."+kind+".json")
			want[file] = true
			t.Run(name+"."+kind, func(t *testing.T) {
				s := r.Reflect(types[i])
				s.Version = "" // the dialect is MCP's default, 2020-12
				compact, err := json.Marshal(s)
				if err != nil {
					t.Fatal(err)
				}
				var text bytes.Buffer
				if err := json.Indent(&text, compact, "", "  "); err != nil {
					t.Fatal(err)
				}
				text.WriteByte('\n')
				if *update {
					if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				golden, err := os.ReadFile(file)
				if err != nil {
					t.Fatalf("no golden: run go test ./tools -update and look at the difference: %v", err)
				}
				if !bytes.Equal(golden, text.Bytes()) {
					t.Errorf("%s does not fit its type: run go test ./tools -update and look at the difference\n%s", file, text.Bytes())
				}
			})
		}
	}
	files, err := filepath.Glob("schema/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[f] {
			t.Errorf("%s belongs to no tool", f)
		}
	}
}
