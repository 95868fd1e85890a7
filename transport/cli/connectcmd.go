package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/transport/connect"
)

func (a *app) connectCommand() *cobra.Command {
	var show bool
	var names []string
	var text strings.Builder
	text.WriteString("Writes coatcheck into the configuration of an MCP client, in one entry and nowhere else, and\n" +
		"keeps a backup of what it changes beside it. CLIENT is one of:\n")
	for _, c := range connect.Clients() {
		names = append(names, c.Name)
		_, _ = fmt.Fprintf(&text, "\n  %-16s%s", c.Name, c.Title)
	}
	cmd := &cobra.Command{
		Use: "connect CLIENT", Short: "Configure an MCP client: " + strings.Join(names, ", "),
		Long: text.String(), Example: "  coatcheck connect cursor\n  coatcheck connect claude-desktop --print",
		ValidArgs: names,
		Args:      exactly(1, "CLIENT"),
		RunE: func(_ *cobra.Command, args []string) error {
			env, err := connect.Here(a.getenv)
			if err != nil {
				return err
			}
			change, err := connect.Plan(args[0], env)
			if err != nil {
				return err
			}
			if show {
				_, err = a.Out.Write(change.Snippet)
				return err
			}
			return a.connect(change)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "write the entry to standard output and change nothing")
	return cmd
}

func (a *app) connect(change connect.Change) error {
	backup := ""
	if change.Needed() {
		var err error
		if backup, err = connect.Apply(change); err != nil {
			return err
		}
	}
	if a.json {
		return a.writeJSON(struct {
			Client  string `json:"client"`
			File    string `json:"file"`
			Changed bool   `json:"changed"`
			Backup  string `json:"backup,omitempty"`
		}{change.Client.Name, change.Path, change.Needed(), backup})
	}
	if !change.Needed() {
		a.note("%s knows coatcheck already: %s", change.Client.Title, change.Path)
		return nil
	}
	a.note("Wrote %s", change.Path)
	if backup != "" {
		a.note("Kept the one before as %s", backup)
	}
	a.note("%s", change.Client.Next)
	return nil
}
