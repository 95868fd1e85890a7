package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// askHidden asks the person at the terminal for a passphrase.
func (a *app) askHidden(ctx context.Context, prompt string) ([]byte, error) {
	line, there, err := a.hidden(ctx, prompt)
	if !there {
		return nil, nobodyToAsk()
	}
	return line, err
}

// hidden asks the person at the terminal for a line that is not shown; there is
// false when there is no terminal, which is no fault. It leaves the standard
// streams alone, which may carry a value or a protocol.
func (a *app) hidden(ctx context.Context, prompt string) (line []byte, there bool, err error) {
	if a.unattended {
		return nil, false, nil
	}
	in, out, err := openTerminal()
	if err != nil {
		return nil, false, nil // there is none
	}
	defer func() { err = errors.Join(err, in.Close(), out.Close()) }()
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, false, nil // it is none
	}
	_, _ = io.WriteString(out, prompt+" (hidden): ")
	line, err = await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		err = errors.Join(err, term.Restore(fd, before))
	}
	_, _ = io.WriteString(out, "\n")
	return line, true, err
}

// openTerminal opens what the person sits at, whatever the streams are.
func openTerminal() (in, out *os.File, err error) {
	from, to := "/dev/tty", "/dev/tty"
	if runtime.GOOS == "windows" {
		from, to = "CONIN$", "CONOUT$"
	}
	if in, err = os.OpenFile(from, os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile(to, os.O_RDWR, 0); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, out, nil
}

// nobodyToAsk says how else a passphrase can come. An MCP client's program
// never asks: the client has the terminal, if there is one.
func nobodyToAsk() error {
	return codedError{
		fmt.Errorf("%w: a passphrase opens this vault, and there is no terminal to ask at", vault.ErrKeyMissing), exitKey,
		"Name a file that only you can read, COATCHECK_KEY_SOURCE=passphrase:file:/PATH, or a descriptor, passphrase:fd:3.\n" +
			"Or start 'coatcheck serve' where somebody can type it, and let clients use that desk: coatcheck mcp --server URL.",
	}
}
