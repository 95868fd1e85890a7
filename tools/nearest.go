package tools

import "strings"

// nearest returns the known name most like name, or "" when none is near:
// at most two edits away, or equal but for case, dashes and underscores, or
// one being the start of the other.
func nearest(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	plain := strings.NewReplacer("_", "", "-", "")
	best, least := "", 3
	for _, k := range known {
		a, b := plain.Replace(strings.ToLower(name)), plain.Replace(k)
		d := edits(a, b)
		if len(a) >= 3 && (strings.HasPrefix(b, a) || strings.HasPrefix(a, b)) {
			d = min(d, 1)
		}
		if d < least && d < len(b) {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short strings.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
