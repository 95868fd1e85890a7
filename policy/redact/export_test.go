package redact

// Endings returns, for each byte of text, the length of the longest of the
// words that ends with it, as the automaton finds them.
func Endings(words []string, text string) []int {
	list := make([]form, len(words))
	for i, w := range words {
		list[i] = form{text: w, entry: i}
	}
	out := make([]int, len(text))
	newAutomaton(list).scan([]byte(text), func(end int, e ending) { out[end-1] = e.length })
	return out
}

// Footprint returns the states and the bytes of the automaton over values.
func Footprint(values []string) (states, size int) {
	var list []form
	for i, v := range values {
		list = append(list, forms(i, []byte(v))...)
	}
	a := newAutomaton(list)
	return len(a.label), len(a.label)*5 + len(a.edges.keys)*12 + len(a.ending)*48
}
