package catalogue

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// ForValue returns the providers whose public prefix and shape v has: none, one,
// or all that share them. The longest prefix counts.
func (c *Catalogue) ForValue(v secret.Value) []Provider {
	found, _ := c.match(v)
	return found
}

// minHidden is how many bytes must follow a prefix for it to count: fewer, and
// the prefix would be much of the secret.
const minHidden = 16

func (c *Catalogue) match(v secret.Value) (found []Provider, longest string) {
	text := v.Reveal() //nolint:forbidigo // compared with public prefixes and patterns only
	defer clear(text)
	for _, p := range c.providers() {
		for _, prefix := range p.Prefixes { // the longest first
			if len(prefix) < len(longest) || len(text) < len(prefix)+minHidden || !bytes.HasPrefix(text, []byte(prefix)) || !p.looks(text) {
				continue
			}
			if len(prefix) > len(longest) {
				found, longest = nil, prefix
			}
			found = append(found, p)
			break
		}
	}
	return found, longest
}

// Resembles reports whether text is a key of some provider, or begins like one
// and goes on as a name hardly does, with 16 letters and digits mixed: a key
// that was cut or mistyped, perhaps.
func (c *Catalogue) Resembles(text string) bool {
	if found, _ := c.match(secret.New([]byte(text))); len(found) > 0 {
		return true
	}
	for _, p := range c.providers() {
		for _, prefix := range p.Prefixes {
			if rest, begins := strings.CutPrefix(text, prefix); begins && random(rest) {
				return true
			}
		}
	}
	return false
}

// random reports whether text begins with minHidden letters and digits, both.
func random(text string) bool {
	letters, digits := 0, 0
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			letters++
		default:
			return false
		}
		if letters+digits == minHidden {
			return letters > 0 && digits > 0
		}
	}
	return false
}

// Looks reports whether v looks like a key of p.
func (p Provider) Looks(v secret.Value) bool {
	text := v.Reveal() //nolint:forbidigo // compared with a public pattern only
	defer clear(text)
	return p.looks(text)
}

func (p Provider) looks(text []byte) bool {
	pattern, err := regexp.Compile(`^(?:` + p.Pattern + `)$`)
	return err == nil && pattern.Match(text)
}

// Propose returns the providers whose key v seems to be; several are a choice
// for a human. They are those of [Catalogue.ForValue], narrowed to the ones that
// the name speaks of ("GEMINI_API_KEY", "production/gemini/key") where it does.
// Of a value without a known prefix the name must speak, and the value must have
// the shape: so OPENAI_BASE_URL is nobody's. Nothing of v is in the answer.
func (c *Catalogue) Propose(name string, v secret.Value) []Provider {
	words := wordsOf(name)
	if found, _ := c.match(v); len(found) > 0 {
		if narrower := spokenOf(words, found); len(narrower) > 0 {
			return narrower
		}
		return found
	}
	if slices.ContainsFunc(notKeys, func(word string) bool { return strings.Contains(words, "-"+word+"-") }) {
		return nil
	}
	named := spokenOf(words, c.providers())
	return slices.DeleteFunc(named, func(p Provider) bool { return !p.Looks(v) })
}

// notKeys are words in names of what belongs to a provider and is not the key
// to its API, while it may look like one.
var notKeys = []string{"id", "public", "publishable", "signing", "url", "user", "username", "webhook"}

// wordsOf is a name in lower case with "-" around each of its words.
func wordsOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("_./- ", r) })
	return "-" + strings.Join(words, "-") + "-"
}

// spokenOf returns those of a list that the words call by name.
func spokenOf(words string, list []Provider) (out []Provider) {
	for _, p := range list {
		called := func(name string) bool { return strings.Contains(words, "-"+name+"-") }
		if called(p.Name) || slices.ContainsFunc(p.Words, called) {
			out = append(out, p)
		}
	}
	return out
}
