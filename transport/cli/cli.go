// Package cli is the coatcheck command: it finds the home, wires every concrete
// part together and speaks to people. It is the only package that knows which
// vault, which doors and which files there are.
//
// The one rule: results go to standard output, everything else to standard
// error, and every failure ends with the exit code its class has in [ExitCodes].
//
//	code := cli.Main(ctx, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:], os.Getenv)
//
// A value is read from standard input, a file or a hidden prompt, never from an
// argument, since arguments show in process lists and shell histories.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// Streams are the three standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs one command line (without the program's name) and returns its exit
// code. It returns early when ctx ends.
func Main(ctx context.Context, std Streams, args []string, getenv func(string) string) int {
	return (&app{Streams: std, getenv: getenv, now: time.Now, args: args}).main(ctx)
}

func (a *app) main(ctx context.Context) int {
	root := a.root() //nolint:contextcheck // a command gets its context when it runs
	root.SetArgs(a.args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	return a.complain(cmd, err)
}

// app is what every command shares.
type app struct {
	Streams
	getenv   func(string) string
	now      func() time.Time
	args     []string
	json     bool
	logLevel string // "": info for a door, warn for the owner's commands
	vault    string // --vault: goes before config.yaml

	keyring    embedded.OSKeyring // nil: the system's
	unattended bool               // nobody is asked for a passphrase
	stop       func(step string) error
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "coatcheck",
		Short: "Let an LLM agent use secrets it never sees",
		Long: "coatcheck gives an agent a handle in place of a secret, and opens the secret only\n" +
			"where a policy says it may go. See https://github.com/coatcheck-dev/coatcheck.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          nothing,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
		// Before anything is opened or made.
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkLogLevel() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, a.args, err) })
	root.PersistentFlags().BoolVar(&a.json, "json", false, "write results and errors as JSON")
	root.PersistentFlags().StringVar(&a.logLevel, "log-level", "",
		"log to standard error from `LEVEL` up: debug, info, warn, error (default warn; info for serve and mcp)")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		a.serveCommand(), a.mcpCommand(), a.initCommand(), a.demoCommand(), a.doctorCommand(), a.connectCommand(),
		a.secretCommand(), a.agentCommand(), a.tokenCommand(), a.handleCommand(), a.adminCommand(), a.approvalsCommand(),
		a.policyCommand(), a.auditCommand(), a.rekeyCommand(), a.clockCommand(),
		a.versionCommand(), a.completionCommand(), a.exitCodesCommand(),
	)
	return root
}

// logger writes to standard error, in colour on a terminal. usual is the level
// where --log-level does not say another one.
func (a *app) logger(usual slog.Level) *slog.Logger {
	level := usual
	if a.logLevel != "" && level.UnmarshalText([]byte(a.logLevel)) != nil {
		level = usual // checked before the command ran
	}
	return slog.New(tint.NewTextHandler(a.Err, &tint.Options{
		Level: level, TimeFormat: time.TimeOnly, NoColor: !isTerminal(a.Err) || a.getenv("NO_COLOR") != "",
	}))
}

func (a *app) checkLogLevel() error {
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, a.logLevel) {
		return usage("--log-level is not debug, info, warn or error")
	}
	return nil
}

// isTerminal reports whether a stream is one a person looks at or types on.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// note tells a person something that is not a result.
func (a *app) note(format string, args ...any) { _, _ = fmt.Fprintf(a.Err, format+"\n", args...) }
