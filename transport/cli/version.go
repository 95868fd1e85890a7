package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"
)

// versionText is what the Go toolchain recorded: the tag or commit it was built
// from.
func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, Go version and the MCP revisions served", Args: nothing,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.writeJSON(map[string]any{
					"version": versionText(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
					"mcp": mcp.ValidProtocolVersions,
				})
			}
			rows := [][]string{{"coatcheck", versionText()}, {"go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}}
			for _, v := range mcp.ValidProtocolVersions {
				rows = append(rows, []string{"mcp", v})
			}
			return a.table(rows)
		},
	}
}
