package policy_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// lenient are files that the schema takes and the parser does not, with what a
// schema cannot say. Every other one must be judged alike.
var lenient = map[string]string{
	// How it is written: YAML itself, and numbers before they are numbers.
	"nul": "characters", "not utf-8": "characters", "lone carriage return": "characters", "reason with control": "characters", "escape": "characters", "bidi override": "characters", "tab in comment": "characters",
	"anchor": "YAML", "tag": "YAML", "directive": "YAML", "complex key": "YAML", "two documents": "YAML", "end of document": "YAML",
	"too large":  "size",
	"uses octal": "numbers", "uses hex": "numbers", "uses grouped": "numbers", "permanent in capitals": "YAML",
	// What concerns several entries.
	"rule name twice": "names", "rule name twice, quoted": "names", "test name twice": "names", "approvals order": "order",
	// What needs a parser or a table of its own.
	"ttl too long": "range", "ttl overflow": "range",
	"to public suffix": "suffixes", "to public suffix of two labels": "suffixes", "to public suffix, allowed before denied": "suffixes",
	"to odd address": "addresses",
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(policy.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(policy.SchemaURL, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(policy.SchemaURL)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judge returns what the schema has against a file, as an editor sees it. With
// whole, the required fields that rules and tests lack are added first, so that
// it is judged by what it has.
func judge(s *jsonschema.Schema, src string, whole bool) error {
	var document any
	if err := yaml.Unmarshal([]byte(src), &document); err != nil {
		return err
	}
	if whole {
		complete(document)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

func complete(document any) {
	top, _ := document.(map[string]any)
	fill := func(list string, fields map[string]any) {
		items, _ := top[list].([]any)
		for i, item := range items {
			one, _ := item.(map[string]any)
			for name, value := range fields {
				_, denies := one["deny"]
				if _, has := one[name]; one != nil && !has && (name != "allow" || !denies) {
					one[name] = value
				}
			}
			items[i] = item
		}
	}
	fill("rules", map[string]any{"name": "n", "agents": []any{"a"}, "paths": []any{"p"}, "allow": []any{"use"}})
	fill("tests", map[string]any{"name": "n", "agent": "a", "path": "p", "ask": "use", "expect": "deny"})
}

// incomplete finds the parser's words for a field that is not there.
var incomplete = regexp.MustCompile(`names no|has no|neither|missing|is empty; start`)

// Every file that is broken for the parser is broken for the schema, but for
// those that are listed.
func TestSchemaRefusesWhatTheParserRefuses(t *testing.T) {
	s := compiledSchema(t)
	unused := maps.Clone(lenient)
	for _, c := range append(slices.Clone(broken), brokenTests...) {
		if len(c.src) > 20_000 {
			delete(unused, c.name)
			continue // its size is what is wrong
		}
		t.Run(c.name, func(t *testing.T) {
			_, takes := lenient[c.name]
			delete(unused, c.name)
			if err := judge(s, c.src, !incomplete.MatchString(c.want)); (err == nil) != takes {
				t.Errorf("the parser says %s\nthe schema: %v", c.want, err)
			}
		})
	}
	if len(unused) > 0 {
		t.Errorf("no such files: %v", slices.Sorted(maps.Keys(unused)))
	}
}

// Every file that the parser takes is good for the schema.
func TestSchemaTakesWhatTheParserTakes(t *testing.T) {
	s := compiledSchema(t)
	files := map[string]string{
		"example": example, "default": policy.Default, "with a rule": policy.Default + policy.RuleFor("ci"), "canonical": string(mustParse(t, example).Format()),
		"tests": tested,
	}
	for _, c := range good {
		files[c.name] = c.src
	}
	for _, r := range policy.Rights() {
		files["right "+string(r)] = head + "  - {name: a, agents: [a], paths: [a], deny: [" + string(r) + "]}\n"
	}
	for _, d := range policy.Doors() {
		files["door "+string(d)] = ruleWith("doors: [" + string(d) + "]")
	}
	for _, tier := range append(vault.Tiers(), "none") {
		files["tier "+string(tier)] = testWith("tier: " + string(tier))
	}
	examples, err := filepath.Glob("../examples/policies/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatal(examples, err)
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	for name, src := range files {
		t.Run(name, func(t *testing.T) {
			if _, err := policy.Parse("p", []byte(src)); err != nil {
				t.Fatal(err)
			}
			if err := judge(s, src, false); err != nil {
				t.Error(err)
			}
		})
	}
}

// The schema has the parser's fields and no others, each with a description.
func TestSchemaHasEveryField(t *testing.T) {
	type object struct {
		Properties  map[string]json.RawMessage
		Additional  json.RawMessage `json:"additionalProperties"`
		Description string
	}
	var document struct {
		object
		Schema string `json:"$schema"`
		ID     string `json:"$id"`
		Defs   map[string]object
	}
	if err := json.Unmarshal([]byte(strings.Replace(policy.Schema(), `"$defs"`, `"Defs"`, 1)), &document); err != nil {
		t.Fatal(err)
	}
	if document.ID != policy.SchemaURL || document.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("%s %s", document.ID, document.Schema)
	}
	inner := func(o object, name string) (in object) {
		if err := json.Unmarshal(o.Properties[name], &in); err != nil {
			t.Error(err)
		}
		return in
	}
	objects := map[string]object{
		"a policy": document.object, "a rule": document.Defs["rule"], "limits": inner(document.Defs["rule"], "limits"), "an entry of to": document.Defs["narrow"],
		"approvals": inner(document.object, "approvals"), "sensitive": document.Defs["approval"], "critical": document.Defs["approval"],
		"a test": document.Defs["test"], "to of a test": inner(document.Defs["test"], "to"),
	}
	for name, fields := range policy.Grammar() {
		o, ok := objects[name]
		if got, want := slices.Sorted(maps.Keys(o.Properties)), slices.Sorted(slices.Values(fields)); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the parser %v", name, got, want)
		}
		if string(o.Additional) != "false" {
			t.Errorf("%s is open", name)
		}
		for field := range o.Properties {
			if inner(o, field).Description == "" {
				t.Errorf("%s: %s has no description", name, field)
			}
		}
	}
	if len(objects) != len(policy.Grammar()) {
		t.Errorf("the parser has %d mappings, this test %d", len(policy.Grammar()), len(objects))
	}
}

// What init writes names its schema, so that an editor completes it.
func TestDefaultNamesItsSchema(t *testing.T) {
	if first, _, _ := strings.Cut(policy.Default, "\n"); first != "# yaml-language-server: $schema="+policy.SchemaURL {
		t.Error(first)
	}
}
