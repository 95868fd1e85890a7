// Package faults starts the command as people do, in processes of its own, and
// does to it and to its home what must not hurt: it kills processes at any
// moment, flips bytes, swaps rows, cuts and exchanges files.
//
// The one rule that it holds the program to: what was acknowledged is there,
// what was counted is counted once, what left is on record; and of a damaged
// home every answer is the right one or an error.
//
//	go test ./transport/cli/faults -faults.kills=1000 -faults.every
//
// It is a test and nothing else. What it does not do: it cuts no power. A
// killed process leaves what it wrote to the system; what a lost power leaves is
// the business of SQLite's synchronous=FULL.
package faults_test

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

var (
	kills = flag.Int("faults.kills", 50, "how many processes to kill under load")
	every = flag.Bool("faults.every", false, "damage every byte of a vault, not a sample of them")
)

// asCommand in the environment makes this program the command.
const asCommand = "COATCHECK_FAULTS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:], os.Getenv))
}
