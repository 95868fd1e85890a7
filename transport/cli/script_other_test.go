//go:build !linux

package cli_test

import (
	"fmt"
	"os"
)

// addHelpers adds the programs that scripts about storage need: "unprivileged
// PROGRAM [ARG…]" runs a program for which the modes of files count, and
// "readonly DIR PROGRAM [ARG…]" one that may not write to DIR.
func addHelpers(commands map[string]func()) {
	commands["unprivileged"] = func() { unprivileged(os.Args[1:]) }
	commands["readonly"] = func() { unwritable(os.Args[1], append([]string{"unprivileged"}, os.Args[2:]...)) }
}

// canFull: nothing here makes a disk for one program.
func canFull(string) bool { return false }

func unprivileged(command []string) {
	if os.Geteuid() == 0 {
		fmt.Fprintln(os.Stderr, "modes do not hold root here: run the tests as an ordinary user")
		os.Exit(helperFailed)
	}
	becomeProgram(command)
}
