package vault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// wantInvalid expects an error of a field that does not repeat the input.
func wantInvalid(t *testing.T, err error, field, input string) {
	t.Helper()
	var invalid *vault.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != field {
		t.Errorf("%q: got error %v, want one of field %q", input, err, field)
	} else if len(input) > 6 && strings.Contains(err.Error(), input) {
		t.Errorf("%q: the error repeats the input", input)
	}
}

func TestParsePath(t *testing.T) {
	for _, s := range []string{
		"a", "openai-key", "production/openai/api-key", "A.b_c-d e/0", "...", "a/..b", ".hidden", " ",
		strings.Repeat("p", vault.MaxPathBytes), strings.TrimSuffix(strings.Repeat("s/", vault.MaxPathSegments), "/"),
	} {
		if p, err := vault.ParsePath(s); err != nil || string(p) != s {
			t.Errorf("%q: %q, %v", s, p, err)
		}
	}
	for _, s := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a", "a\x00b", "a\nb", "a\tb", "a\\b", "a%2fb", "a?b", "a#b", "a*b", "a:b", "ä/b", "a\xff",
		"a\u202eb", strings.Repeat("p", vault.MaxPathBytes+1), strings.Repeat("p", 600), strings.Repeat("s/", vault.MaxPathSegments) + "s",
	} {
		_, err := vault.ParsePath(s)
		wantInvalid(t, err, "path", s)
	}
}

func TestJoinPath(t *testing.T) {
	for _, tc := range []struct{ namespace, key, want string }{
		{"", "k", "k"}, {"a", "k", "a/k"}, {"a/b", "k", "a/b/k"}, {"a/", "k", "a/k"},
	} {
		if p, err := vault.JoinPath(tc.namespace, tc.key); err != nil || string(p) != tc.want {
			t.Errorf("%q + %q: %q, %v", tc.namespace, tc.key, p, err)
		}
	}
	for _, tc := range []struct{ namespace, key, field string }{
		{"a", "b/c", "key"}, {"", "b/c", "key"}, {"a", "", "path"}, {"", "", "path"}, {"a//", "k", "path"}, {"/a", "k", "path"}, {"..", "k", "path"},
	} {
		_, err := vault.JoinPath(tc.namespace, tc.key)
		wantInvalid(t, err, tc.field, "")
	}
}

func TestPathParts(t *testing.T) {
	for _, tc := range []struct {
		path, namespace, key string
		ancestors            []vault.Path
	}{
		{"k", "", "k", nil},
		{"a/k", "a", "k", []vault.Path{"a"}},
		{"a/b/k", "a/b", "k", []vault.Path{"a", "a/b"}},
	} {
		p := vault.Path(tc.path)
		if p.Namespace() != tc.namespace || p.Key() != tc.key || !slices.Equal(p.Ancestors(), tc.ancestors) || p.String() != tc.path {
			t.Errorf("%s: %q %q %q", p, p.Namespace(), p.Key(), p.Ancestors())
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "production/openai/api-key", "a b/c.d_e-f", "..", "a//b", "/", "a/..", "ä", "a\x00", strings.Repeat("x/", 20)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := vault.ParsePath(s)
		if err != nil {
			wantInvalid(t, err, "path", "")
			return
		}
		if p.String() != s {
			t.Fatalf("%q became %q", s, p)
		}
		joined, err := vault.JoinPath(p.Namespace(), p.Key())
		if err != nil || joined != p {
			t.Fatalf("%q joined: %q, %v", p, joined, err)
		}
		for _, above := range p.Ancestors() {
			if _, err := vault.ParsePath(string(above)); err != nil || !strings.HasPrefix(s, string(above)+"/") {
				t.Fatalf("ancestor %q of %q: %v", above, p, err)
			}
		}
	})
}
