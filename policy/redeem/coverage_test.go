package redeem_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestURLCoverage holds the tables of the URL canonicaliser to every statement of
// it: a rule that no row tries is a rule that nobody knows to work.
func TestURLCoverage(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cover")
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-ldflags=-s -w", "-run", "^(TestCanonicalURL|TestRefusedURL|TestRefusedCalls)$", "-coverprofile", profile, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := os.Open(profile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	blocks := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// "PACKAGE/url.go:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT"
		if _, block, ours := strings.Cut(lines.Text(), "/redeem/url.go:"); ours {
			blocks++
			if strings.HasSuffix(block, " 0") {
				t.Errorf("url.go:%s is not tried by any row", block)
			}
		}
	}
	if blocks < 50 {
		t.Errorf("only %d blocks of url.go in the profile", blocks)
	}
}
