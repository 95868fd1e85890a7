// Command coatcheck lets an LLM agent use secrets it never sees.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks for an orderly end, a second one ends at once
	os.Exit(cli.Main(ctx, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:], os.Getenv))
}
