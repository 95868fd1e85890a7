package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// helpCommand is 'help' that fails on what does not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND...]", Short: "Say what a command does, as its --help",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return usageError{err}
			case len(rest) > 0 && found.HasAvailableSubCommands():
				return unknownCommand(found, rest[0])
			case len(rest) > 0:
				return usage("%q has no commands of its own", found.CommandPath())
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// shells writes each shell's completion script.
var shells = []string{"bash", "fish", "powershell", "zsh"}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: "Write a script that completes commands and flags in your shell",
		Long: "Writes the script for " + strings.Join(shells, ", ") + " to standard output. In bash, for one session:\n" +
			"  source <(coatcheck completion bash)\n" +
			"and for good:\n" +
			"  coatcheck completion bash > /etc/bash_completion.d/coatcheck\n" +
			"  coatcheck completion zsh > \"${fpath[1]}/_coatcheck\"\n" +
			"  coatcheck completion fish > ~/.config/fish/completions/coatcheck.fish\n" +
			"  coatcheck completion powershell >> $PROFILE",
		ValidArgs: shells, Args: exactly(1, "SHELL ("+strings.Join(shells, ", ")+")"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Out)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			default:
				return usage("SHELL is not one of %s", strings.Join(shells, ", "))
			}
		},
	}
}

func (a *app) exitCodesCommand() *cobra.Command {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range ExitCodes() {
		_, _ = fmt.Fprintf(table, "  %d\t%s\n", row.Code, row.Meaning)
	}
	_ = table.Flush()
	return &cobra.Command{
		Use: "exit-codes", Short: "Say what the exit codes mean", Args: nothing,
		Long: "Every command ends with one of these codes:\n\n" + strings.TrimSuffix(text.String(), "\n"),
		RunE: func(*cobra.Command, []string) error {
			rows := [][]string{{"CODE", "MEANING"}}
			for _, row := range ExitCodes() {
				rows = append(rows, []string{fmt.Sprint(row.Code), row.Meaning})
			}
			return a.rows(map[string]any{"exit_codes": ExitCodes()}, rows)
		},
	}
}
