package cli_test

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

const helpGolden = "testdata/help.txt"

// everyCommand calls visit for every command that people see.
func everyCommand(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			everyCommand(sub, visit)
		}
	}
}

// TestHelp compares the help of every command with one file, so that a change
// shows in a review and the documents that quote it do not drift.
func TestHelp(t *testing.T) {
	var all bytes.Buffer
	everyCommand(cli.Root(), func(c *cobra.Command) {
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		var stdout, stderr bytes.Buffer
		code := cli.Main(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, args, func(string) string { return "" })
		if code != 0 || stderr.Len() > 0 {
			t.Errorf("%s --help: code %d, stderr %q", c.CommandPath(), code, stderr.String())
		}
		all.WriteString("$ coatcheck " + strings.Join(args, " ") + "\n" + stdout.String() + "\n")
	})
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(helpGolden, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(helpGolden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(all.Bytes(), want) {
		t.Errorf("the help differs from %s; if that is right, run: go test ./transport/cli -run TestHelp -update", helpGolden)
	}
	for i, line := range strings.Split(all.String(), "\n") {
		if strings.TrimRightFunc(line, unicode.IsSpace) != line {
			t.Errorf("%s:%d: ends with a space", helpGolden, i+1)
		}
	}
}

// TestHelpStyle holds the texts to one style.
func TestHelpStyle(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z][^A-Z]`)
	everyCommand(cli.Root(), func(c *cobra.Command) {
		path := c.CommandPath()
		if !sentence.MatchString(c.Short) || strings.HasSuffix(c.Short, ".") || len(c.Short) > 80 {
			t.Errorf("%s: short text %q is not a line in sentence case without a full stop", path, c.Short)
		}
		for line := range strings.Lines(c.Long) {
			if len(line) > 101 {
				t.Errorf("%s: a line of the long text has %d bytes", path, len(line))
			}
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  coatcheck ") {
				t.Errorf("%s: example %q does not start with the command", path, line)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: %q is not a documentation without a full stop", path, f.Name, f.Usage)
			}
		})
	})
}
