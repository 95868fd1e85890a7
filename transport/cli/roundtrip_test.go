package cli_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
)

// TestWhatIsExportedIsImported: whatever text values a namespace has, its export
// imports to the same values, and exports the same again.
func TestWhatIsExportedIsImported(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	run := func(t *rapid.T, stdin string, args ...string) string {
		var out, errs bytes.Buffer
		code := cli.Main(t.Context(), cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}, args,
			func(name string) string { return map[string]string{"COATCHECK_HOME": home}[name] })
		if code != 0 {
			t.Fatalf("coatcheck %s: %d, %s", strings.Join(args, " "), code, errs.String())
		}
		return out.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_.-]{0,8}`), 1, 5, rapid.ID[string]).Draw(t, "names")
		var text []byte
		for _, name := range names {
			value := rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("ab'\"\\$\n\r\t #={}(`é")), 1, 12, -1), rapid.StringN(1, 20, -1)).Draw(t, "value")
			if after, err := dotenv.Append(text, name, []byte(value)); err == nil {
				text = after
			}
		}
		if len(text) == 0 {
			return
		}
		namespace := "n" + rapid.StringMatching(`[0-9a-z]{12}`).Draw(t, "namespace")
		run(t, string(text), "secret", "import", "-", "--into", namespace)
		first := run(t, "", "secret", "export", namespace)
		if sorted(first) != sorted(string(text)) {
			t.Fatalf("imported %q, exported %q", text, first)
		}
		run(t, first, "secret", "import", "-", "--into", namespace+"/copy", "--replace")
		if again := run(t, "", "secret", "export", namespace+"/copy"); again != first {
			t.Fatalf("exported %q, then %q", first, again)
		}
	})
}

// sorted returns lines in their order as text: each entry is one line, since
// line breaks are written as escapes.
func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "")
}
