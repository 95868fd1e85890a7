package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// MainAt is [Main] with another clock.
func MainAt(ctx context.Context, std Streams, args []string, getenv func(string) string, now func() time.Time) int {
	return (&app{Streams: std, getenv: getenv, now: now, args: args}).main(ctx)
}

// Root is the tree of commands.
func Root() *cobra.Command { return (&app{}).root() }

// Judge returns the exit code of an error and what to do next.
var Judge = judge

// Anchor is the file that keeps the checkpoint.
func Anchor(path string) interface {
	Update(fn func(old []byte) ([]byte, error)) error
} {
	return anchor(path)
}
