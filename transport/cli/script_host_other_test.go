//go:build !unix

package cli_test

import (
	"context"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptHost is nothing here: each command of a script is a process.
type scriptHost struct{ relay string }

const hosting = "COATCHECK_SCRIPT_HOST"

func newScriptRelay(*testing.T) string { return "" }

func inHost(_ *testscript.TestScript, program string) string { return program }

func host(func(context.Context) int) error { return nil }
