package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// MainAt is [Main] with another clock.
func MainAt(ctx context.Context, std Streams, args []string, getenv func(string) string, now func() time.Time) int {
	return (&app{Streams: std, getenv: getenv, now: now, args: args}).main(ctx)
}

// DefaultConfig is what init writes.
const DefaultConfig = defaultConfig

// MainIn is [Main] with another keyring, and with stop called after each step of
// a rekey.
func MainIn(ctx context.Context, std Streams, args []string, getenv func(string) string, keyring embedded.OSKeyring, stop func(string) error) int {
	return (&app{Streams: std, getenv: getenv, now: time.Now, args: args, keyring: keyring, stop: stop}).main(ctx)
}

// Migrations are those of a home's database.
var Migrations = migrations

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

// StartMeter is startMeter, with the meter's set and end.
func StartMeter(out io.Writer, doing string, total int, ticks <-chan time.Time) (set func(int), end func()) {
	m := startMeter(out, doing, total, ticks)
	return m.set, m.end
}

// What doctor tries as the agent's user.
var (
	OpenFiles   = openFiles
	OpenProcess = openProcess
)

// RequestText is what an approver sees.
var RequestText = requestText

// Complain writes an error with --json and returns the exit code.
func Complain(out io.Writer, err error) int {
	return (&app{Streams: Streams{Err: out}, json: true}).complain(nil, err)
}
