package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/transport/connect"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

func (a *app) connectCommand() *cobra.Command {
	var show bool
	var server string
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
		Long: text.String() + "\n\nWith --server the client starts the bridge to a desk that runs elsewhere. The agent's key for it\n" +
			"is taken from COATCHECK_AGENT_KEY and goes into the entry, so the file must be closed to others.",
		Example: "  coatcheck connect cursor\n  coatcheck connect claude-desktop --print\n" +
			"  coatcheck connect claude-code --server unix:///run/coatcheck/desk.sock",
		ValidArgs: names,
		Args:      exactly(1, "CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			env, err := connect.Here(a.getenv)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("server") {
				at, err := bridge.ParseServer(server)
				if err != nil {
					return usage("--server: %w", err)
				}
				if env.AgentKey = a.agentKey(); checkKey(env.AgentKey) != nil {
					return checkKey(env.AgentKey)
				}
				env.Server = at.String()
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
	cmd.Flags().StringVar(&server, "server", "", "the desk at `URL`: https://HOST[:PORT] or unix:///PATH/TO/SOCKET")
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
