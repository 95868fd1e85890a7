package vault

import "strings"

// Pointer names one value inside a JSON document, as RFC 6901 writes it:
// "/auth/token", "/items/0/id"; "~1" in a name stands for "/" and "~0" for "~".
// A pointer to the whole document is not one.
type Pointer string

// Child returns the pointer to the member or element called name below p.
func (p Pointer) Child(name string) Pointer {
	return p + "/" + Pointer(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
}

// Names returns the names from the top of the document down, unescaped.
func (p Pointer) Names() []string {
	var out []string
	for name := range strings.SplitSeq(strings.TrimPrefix(string(p), "/"), "/") {
		out = append(out, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
	}
	return out
}

// wellFormed reports whether p follows the grammar, in printable ASCII: what a
// human reads is then what is compared.
func (p Pointer) wellFormed() bool {
	escapes := strings.Count(string(p), "~0") + strings.Count(string(p), "~1")
	return strings.HasPrefix(string(p), "/") && strings.Count(string(p), "~") == escapes && printableASCII(string(p))
}
