package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// helperFailed is the exit code of a helper that could not do its part; no command of
// coatcheck ends with it.
const helperFailed = 99

func newProgram(name string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// become runs a program and ends as it does.
func becomeProgram(command []string) { os.Exit(runProgram(command)) }

func runProgram(command []string) int {
	cmd := newProgram(command[0], command[1:])
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return helperFailed
	}
	return cmd.ProcessState.ExitCode()
}

// unwritable runs a program while nobody may write to a folder and the files in
// it, and ends as it does.
func unwritable(dir string, command []string) {
	setModes(dir, 0o500, 0o400)
	code := runProgram(command)
	setModes(dir, 0o700, 0o600)
	os.Exit(code)
}

// modes sets the mode of a folder and of the files in it.
func setModes(dir string, folder, file os.FileMode) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, entry.Name()), file))
	}
	if err = errors.Join(err, os.Chmod(dir, folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(helperFailed)
	}
}
