package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exactly wants n arguments.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("needs %s and nothing else", names)
		}
		return nil
	}
}

// aPath wants a path, where people are tempted to give a value too.
func aPath(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usage("needs PATH")
	case len(args) > 1:
		return usage("needs PATH and nothing else; a value on the command line would stay in the shell's history: " +
			"pipe it in, use --file or answer the prompt")
	default:
		return nil
	}
}

// atMostOne wants one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("takes %s and nothing else", name)
		}
		return nil
	}
}

// nothing wants no arguments; a command that holds others takes the first for
// one of them that it does not know.
func nothing(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasAvailableSubCommands():
		return unknownCommand(cmd, args[0])
	default:
		return usage("takes no arguments")
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	hint := ""
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage("unknown command %q for %q%s", name, cmd.CommandPath(), hint)
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: nothing, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.AddCommand(commands...)
	return g
}

// flagError says what is wrong with a flag. Behind a misspelt command its flags
// are unknown too; then the command is what is wrong.
func flagError(cmd *cobra.Command, args []string, err error) error {
	if name := misspelt(cmd, args); name != "" {
		return unknownCommand(cmd, name)
	}
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		wanted := map[string]string{"int": "a whole number", "bool": "true or false"}[bad.GetFlag().Value.Type()]
		return usage("--%s is not %s", bad.GetFlag().Name, wanted)
	}
	return usageError{err}
}

// misspelt returns the word of the command line that should have been a command
// below cmd, or "".
func misspelt(cmd *cobra.Command, args []string) string {
	if !cmd.HasAvailableSubCommands() {
		return ""
	}
	_, rest, err := cmd.Root().Find(args)
	if err != nil {
		return ""
	}
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == "--":
			return ""
		case rest[i] == "--log-level":
			i++
		case strings.HasPrefix(rest[i], "-"):
		case slices.ContainsFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == rest[i] }):
			return ""
		default:
			return rest[i]
		}
	}
	return ""
}
