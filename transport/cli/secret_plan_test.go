package cli_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestTooMuchToImport: the refusal names the line where the file is to be split;
// what is left out does not count.
func TestTooMuchToImport(t *testing.T) {
	var text strings.Builder
	text.WriteString("EMPTY=\nREFERENCE=coatcheck://a/b\n")
	for i := range broker.MaxImport {
		fmt.Fprintf(&text, "A%d=x\n", i)
	}
	home := filepath.Join(t.TempDir(), "home")
	run := func(text string) (code int, said string) {
		var out, errs bytes.Buffer
		code = cli.Main(t.Context(), cli.Streams{In: strings.NewReader(text), Out: &out, Err: &errs}, []string{"secret", "import", "-", "--into", "a", "--dry-run"},
			func(name string) string { return map[string]string{"COATCHECK_HOME": home}[name] })
		return code, errs.String()
	}
	if code, said := run(text.String()); code != 2 || !strings.Contains(said, "there is no home") { // further than that it does not get
		t.Errorf("as many as may be: %d, %s", code, said)
	}
	text.WriteString("MORE=x\n")
	want := fmt.Sprintf("line %d: it is value %d", broker.MaxImport+3, broker.MaxImport+1)
	if code, said := run(text.String()); code != 2 || !strings.Contains(said, want) || !strings.Contains(said, "import each") {
		t.Errorf("one more: %d, %s", code, said)
	}
}
