package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// valueFlags say where a value comes from.
type valueFlags struct {
	file   string
	base64 bool
	exact  bool
}

func (f *valueFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.file, "file", "", "read the value from `FILE` instead of standard input")
	flags.BoolVar(&f.base64, "base64", false, "what is read is base64 of the value")
	flags.BoolVar(&f.exact, "exact", false, "keep the line break at the end of a single line")
}

// maxInput has room for the largest value in base64 with line breaks.
const maxInput = 2 * vault.MaxValueBytes

// readValue reads one value from the file, the pipe or a hidden prompt.
func (a *app) readValue(ctx context.Context, f valueFlags, name string) (secret.Value, error) {
	text, err := a.readText(ctx, f, name)
	switch {
	case err != nil:
		return secret.Value{}, err
	case len(text) > maxInput: // cut short, so that it must not be taken for the value
		return secret.Value{}, &vault.InvalidError{Field: "value", Rule: fmt.Sprintf("is longer than %d bytes", vault.MaxValueBytes)}
	case f.base64:
		if text, err = base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text))); err != nil {
			return secret.Value{}, &vault.InvalidError{Field: "value", Rule: "is not base64 (the standard alphabet, padded)"}
		}
	case !f.exact:
		text = trimLine(text)
	}
	if len(text) == 0 {
		return secret.Value{}, &vault.InvalidError{Field: "value", Rule: "is empty"}
	}
	return secret.New(text), nil
}

// trimLine drops the line break that ends a single line, as echo writes it. What
// has several lines, such as a PEM file, or is not text is kept as it is: there
// the last byte belongs to the value.
func trimLine(text []byte) []byte {
	line, ended := bytes.CutSuffix(text, []byte("\n"))
	if !ended || bytes.IndexByte(line, '\n') >= 0 || !utf8.Valid(line) {
		return text
	}
	return bytes.TrimSuffix(line, []byte("\r"))
}

func (a *app) readText(ctx context.Context, f valueFlags, name string) ([]byte, error) {
	if f.file != "" { // which may be a pipe: <(a command) is one, whose opening waits too
		return await(ctx, func() ([]byte, error) { return readFile(f.file) })
	}
	if isTerminal(a.In) {
		return a.prompt(ctx, int(a.In.(*os.File).Fd()), name)
	}
	return await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.In, maxInput+1)) })
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return nil, usage("--file cannot be read: %w", err)
	}
	defer file.Close() //nolint:errcheck // opened for reading only
	text, err := io.ReadAll(io.LimitReader(file, maxInput+1))
	if err != nil {
		return nil, usage("--file cannot be read: %w", err)
	}
	return text, nil
}

// prompt reads a line that the terminal does not show.
func (a *app) prompt(ctx context.Context, terminal int, name string) ([]byte, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, err
	}
	_, _ = io.WriteString(a.Err, "Value of "+name+" (hidden): ")
	line, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(terminal) })
	a.note("")
	if ctx.Err() != nil {
		return nil, errors.Join(err, term.Restore(terminal, before))
	}
	if len(line) >= longestLine() {
		return nil, usage("the value is as long as a terminal's line can be and may have been cut: pipe it in or use --file")
	}
	return line, err
}

// longestLine is how many bytes a terminal takes for one line; more are lost
// (termios(3): MAX_CANON and N_TTY_BUF_SIZE).
func longestLine() int {
	if runtime.GOOS == "linux" {
		return 4095
	}
	return 1023
}

// await runs read until ctx ends. A read that is blocked then stays blocked
// until the program ends.
func await(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// writeValue writes a value for people and pipes.
func (a *app) writeValue(s vault.Secret, encode bool) error {
	value := s.Value.Reveal()
	if a.json {
		row := map[string]any{"path": s.Path, "version": s.Version, "value": string(value), "encoding": "utf-8"}
		if encode || s.Binary {
			row["value"], row["encoding"] = base64.StdEncoding.EncodeToString(value), "base64"
		}
		return a.writeJSON(row)
	}
	if encode {
		value = []byte(base64.StdEncoding.EncodeToString(value))
	} else if s.Binary && isTerminal(a.Out) {
		return usage("the value is binary; use --base64 or redirect it")
	}
	if isTerminal(a.Out) {
		value = append(value, '\n')
	}
	_, err := a.Out.Write(value)
	return err
}

func parseTags(list []string) (map[string]string, error) {
	tags := make(map[string]string, len(list))
	if len(list) == 1 && list[0] == "" {
		return tags, nil
	}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usage("--tag is not NAME=TEXT")
		}
		if _, twice := tags[name]; twice {
			return nil, usage("--tag names one tag twice")
		}
		tags[name] = value
	}
	return tags, nil
}

// parseExpiry reads a date, a time, a duration from now, or never.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	d, err := parseDuration("expires", text)
	if err != nil || d <= 0 {
		return time.Time{}, usage("--expires is not a date (2027-01-31), an RFC 3339 time, a duration (90d, 12h) or never")
	}
	return now.Add(d).UTC(), nil
}

// parseDuration reads a Go duration, or whole days as "7d".
func parseDuration(flag, text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usage("--%s is not a duration such as 90s, 15m, 12h or 7d", flag)
	}
	return d, nil
}

func parseRecipe(text string) (vault.Recipe, error) {
	if text == "" {
		return "", nil
	}
	return vault.ParseRecipe(text)
}
