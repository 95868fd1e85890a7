package redact_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

const (
	who  = "agent:claude"
	name = "production/openai/api-key"
	mask = "[secret production/openai/api-key]"
)

// awkward has every character that some encoder escapes.
const awkward = `k3y/"<&'>\ +=%?#;ü~Zq`

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func value(s string) secret.Value { return secret.New([]byte(s)) }

// keeping returns a scrubber that holds values for who, the i-th as "v/i", or
// a single one as name.
func keeping(tb testing.TB, values ...string) *redact.Scrubber {
	tb.Helper()
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	for i, v := range values {
		path := vault.Path(fmt.Sprintf("v/%d", i))
		if len(values) == 1 {
			path = name
		}
		if !s.Keep(who, path, value(v), c.t.Add(time.Hour)) {
			tb.Fatalf("value %d is not maskable", i)
		}
	}
	return s
}

// spelled is one text with a value in it.
type spelled struct{ how, text string }

// spellings writes v as programs do, between other bytes where these make a
// difference.
func spellings(v string) (out []spelled) {
	for _, e := range vaulttest.Encodings() {
		for before := range 4 {
			for after := range 3 {
				if text, ok := e.Write([]byte(strings.Repeat("~", before) + v + strings.Repeat("|", after))); ok {
					out = append(out, spelled{fmt.Sprint(e.Name, " ", before, after), string(text)})
				}
			}
		}
	}
	return out
}

func each(v, format string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, format, v[i])
	}
	return b.String()
}
