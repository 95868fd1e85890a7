package vault

import "unicode"

// mixesScripts reports whether the letters of a label come from scripts that
// no language writes together, as in "gооd" with two Cyrillic letters. Latin
// may stand beside the scripts of Chinese, Japanese and Korean, as in the
// highly restrictive level of UTS 39 §5.2.
func mixesScripts(label string) bool {
	seen := ""
	eastAsian := false
	for _, r := range label {
		switch script := scriptOf(r); script {
		case "", "Common", "Inherited":
		case "Han", "Hiragana", "Katakana", "Bopomofo", "Hangul":
			eastAsian = true
		default:
			if seen != "" && seen != script {
				return true
			}
			seen = script
		}
	}
	return eastAsian && seen != "" && seen != "Latin"
}

func scriptOf(r rune) string {
	if r < 0x80 {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return "Latin"
		}
		return "Common"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}
