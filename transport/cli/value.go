package cli

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

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
	flags.StringVar(&f.file, "file", "", "read the value from a file instead of standard input")
	flags.BoolVar(&f.base64, "base64", false, "what is read is base64 of the value")
	flags.BoolVar(&f.exact, "exact", false, "keep a line break at the end")
}

// readValue reads one value from the file, the pipe or a hidden prompt.
func (a *app) readValue(f valueFlags, name string) (secret.Value, error) {
	text, err := a.readText(f, name)
	if err != nil {
		return secret.Value{}, err
	}
	if !f.exact {
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	}
	if f.base64 {
		decoded, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return secret.Value{}, &vault.InvalidError{Field: "value", Rule: "is not base64"}
		}
		text = decoded
	}
	if len(text) == 0 {
		return secret.Value{}, &vault.InvalidError{Field: "value", Rule: "is empty"}
	}
	return secret.New(text), nil
}

func (a *app) readText(f valueFlags, name string) ([]byte, error) {
	in := a.In
	switch {
	case f.file != "":
		file, err := os.Open(f.file)
		if err != nil {
			return nil, usage("--file cannot be read: %w", err)
		}
		defer file.Close() //nolint:errcheck // opened for reading only
		in = file
	case isTerminal(a.In):
		a.promptFor(name)
		text, err := term.ReadPassword(int(a.In.(*os.File).Fd()))
		a.note("")
		return text, err
	}
	// Room for base64 of the largest value and a line break; what is larger is
	// refused by the vault, which knows the limit.
	return io.ReadAll(io.LimitReader(in, 2*vault.MaxValueBytes))
}

func (a *app) promptFor(name string) { _, _ = io.WriteString(a.Err, "Value of "+name+" (hidden): ") }

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
