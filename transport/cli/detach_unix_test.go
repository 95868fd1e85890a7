//go:build unix

package cli_test

import "syscall"

// detach takes the terminal of whoever runs the tests away from a command of a
// script, which must not ask there. A command with a terminal of its own keeps
// it: who leads a session already cannot begin another.
func detach() { _, _ = syscall.Setsid() }
