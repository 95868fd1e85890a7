package policy

import _ "embed"

//go:embed schema.json
var schema string

// SchemaURL is where editors find the [Schema]: the file in the main branch of
// the repository, which a policy names in its first line.
const SchemaURL = "https://raw.githubusercontent.com/coatcheck-dev/coatcheck/main/policy/schema.json"

// Schema returns the JSON Schema (2020-12) of a policy file, with a description
// of each field, for editors. [Parse] is stricter: what a schema cannot say, such
// as that names differ and that a condition is CEL, is for it alone.
func Schema() string { return schema }
