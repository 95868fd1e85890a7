package cli

import (
	"bufio"
	"context"
	"io"
	"strings"
)

// confirm asks a question on a terminal; anything but y or yes means no.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	_, _ = io.WriteString(a.Err, question+" [y/N] ")
	line, err := await(ctx, func() ([]byte, error) {
		line, err := bufio.NewReader(a.In).ReadBytes('\n')
		if err == io.EOF { // the end of input is an answer: no
			err = nil
		}
		return line, err
	})
	answer := strings.ToLower(strings.TrimSpace(string(line)))
	return err == nil && (answer == "y" || answer == "yes"), err
}
