//go:build unix

package cli_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestNotTried: what could not be tried is said, never taken for closed.
func TestNotTried(t *testing.T) {
	for program, want := range map[string]string{
		"":                                      "does not say which program",
		"coatcheck":                             "without a folder",
		filepath.Join(t.TempDir(), "coatcheck"): "cannot be tried from here",
	} {
		if bad := strings.Join(cli.OpenFiles(nil, program), "; "); !strings.Contains(bad, want) {
			t.Errorf("program %q: %s", program, bad)
		}
	}
	if bad := cli.OpenProcess(0); runtime.GOOS == "linux" && len(bad) == 0 {
		t.Error("a process that nobody knows is taken for closed")
	}
}
