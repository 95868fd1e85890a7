package vault

import (
	"crypto/rand"
	"io"
	"regexp"
	"strconv"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Recipe says how to make a new value: text around exactly one {KIND:LENGTH},
// where KIND is base62 or hex and LENGTH is 16 to 256 characters, for example
// "{base62:40}" or "svc_{hex:64}". The zero Recipe makes nothing: a human
// enters the next value.
type Recipe string

var recipeForm = regexp.MustCompile(`^([!-z|~]{0,64})\{(base62|hex):([0-9]{2,3})\}([!-z|~]{0,64})$`)

var recipeAlphabets = map[string]string{
	"base62": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	"hex":    "0123456789abcdef",
}

// ParseRecipe checks s. The error is an *[InvalidError] of field "generate".
func ParseRecipe(s string) (Recipe, error) {
	m := recipeForm.FindStringSubmatch(s)
	if m == nil {
		return "", invalid("generate", "is not text around one {base62:LENGTH} or {hex:LENGTH}")
	}
	if n, _ := strconv.Atoi(m[3]); n < 16 || n > 256 {
		return "", invalid("generate", "has a length that is not 16 to 256")
	}
	return Recipe(s), nil
}

// Generate makes a value from crypto/rand.
func (r Recipe) Generate() (secret.Value, error) {
	if _, err := ParseRecipe(string(r)); err != nil {
		return secret.Value{}, err
	}
	m := recipeForm.FindStringSubmatch(string(r))
	n, _ := strconv.Atoi(m[3])
	alphabet := recipeAlphabets[m[2]]
	out := append(make([]byte, 0, len(r)+n), m[1]...)
	limit := byte(256/len(alphabet)*len(alphabet) - 1) // above it a byte would favour some letters
	for one := make([]byte, 1); n > 0; {
		if _, err := io.ReadFull(rand.Reader, one); err != nil {
			return secret.Value{}, err
		}
		if one[0] <= limit {
			out = append(out, alphabet[int(one[0])%len(alphabet)])
			n--
		}
	}
	return secret.New(append(out, m[4]...)), nil
}
