// Command coatcheck lets an LLM agent use secrets it never sees.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// gcPercent lets the heap grow to 8 MiB before the first collection: with the
// usual 100 it falls into the start, and costs a tenth of it. GOGC, if set, decides.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks for an orderly end, a second one ends at once
	os.Exit(cli.Main(ctx, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:], os.Getenv))
}
