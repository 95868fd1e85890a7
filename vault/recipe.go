package vault

import (
	"crypto/rand"
	"io"
	"strconv"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Recipe says how to make a new value: text around exactly one {KIND:LENGTH},
// where KIND is base62 or hex and LENGTH is 16 to 256 characters, for example
// "{base62:40}" or "svc_{hex:64}". The text before and after is at most 64
// bytes of printable ASCII each, without spaces and braces. The zero Recipe
// makes nothing: a human enters the next value.
type Recipe string

const maxRecipeText = 64

// ParseRecipe checks s. The error is an *[InvalidError] of field "generate".
func ParseRecipe(s string) (Recipe, error) {
	if _, err := Recipe(s).parse(); err != nil {
		return "", err
	}
	return Recipe(s), nil
}

type recipeParts struct {
	before, after, alphabet string
	length                  int
}

func (r Recipe) parse() (recipeParts, error) {
	before, rest, opened := strings.Cut(string(r), "{")
	spec, after, closed := strings.Cut(rest, "}")
	kind, digits, _ := strings.Cut(spec, ":")
	alphabet := recipeAlphabet(kind)
	if !opened || !closed || alphabet == "" || !recipeText(before) || !recipeText(after) {
		return recipeParts{}, invalid("generate", "is not text around one {base62:LENGTH} or {hex:LENGTH}")
	}
	n, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(n) != digits || n < 16 || n > 256 {
		return recipeParts{}, invalid("generate", "has a length that is not 16 to 256")
	}
	return recipeParts{before, after, alphabet, n}, nil
}

func recipeAlphabet(kind string) string {
	switch kind {
	case "base62":
		return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	case "hex":
		return "0123456789abcdef"
	default:
		return ""
	}
}

func recipeText(s string) bool {
	return len(s) <= maxRecipeText && printableASCII(s) && !strings.ContainsAny(s, " {}")
}

// Generate makes a value from crypto/rand.
func (r Recipe) Generate() (secret.Value, error) { return r.generate(rand.Reader) }

func (r Recipe) generate(random io.Reader) (secret.Value, error) {
	p, err := r.parse()
	if err != nil {
		return secret.Value{}, err
	}
	out := append(make([]byte, 0, len(r)+p.length), p.before...)
	defer func() { clear(out) }()
	limit := 256 / len(p.alphabet) * len(p.alphabet) // a byte from there on would favour some letters
	for one := make([]byte, 1); p.length > 0; {
		if _, err := io.ReadFull(random, one); err != nil {
			return secret.Value{}, err
		}
		if int(one[0]) < limit {
			out = append(out, p.alphabet[int(one[0])%len(p.alphabet)])
			p.length--
		}
	}
	return secret.New(append(out, p.after...)), nil
}
