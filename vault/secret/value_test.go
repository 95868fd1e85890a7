package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const canary = "cnry-7Hq2xT9vLwZ4"

type holder struct {
	Public  secret.Value
	private secret.Value
	pointer *secret.Value
	list    []secret.Value
	table   map[string]secret.Value
	face    any
}

func newHolder() holder {
	v := secret.New([]byte(canary))
	return holder{v, v, &v, []secret.Value{v}, map[string]secret.Value{"k": v}, v}
}

func leaks(s string) bool {
	for _, form := range []string{
		canary,
		hex.EncodeToString([]byte(canary)),
		strings.ToUpper(hex.EncodeToString([]byte(canary))),
		base64.StdEncoding.EncodeToString([]byte(canary)),
		strings.Trim(fmt.Sprint([]byte(canary)), "[]"), //nolint:staticcheck // the form is the point
		strings.Trim(fmt.Sprintf("%#v", []byte(canary)), "[]byte{}"),
	} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

func TestNoVerbPrintsTheBytes(t *testing.T) {
	h := newHolder()
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "+q", "x", "X", "# x", "d", "b", "o", "c", "U", "T", "p", "t", "e", "20v"} {
		for name, arg := range map[string]any{"value": h.Public, "pointer": h.pointer, "struct": h, "struct pointer": &h, "slice": h.list, "map": h.table} {
			if out := fmt.Sprintf("%"+verb, arg); leaks(out) {
				t.Errorf("%%%s of %s shows the value", verb, name)
			}
		}
	}
}

func TestNoEncoderPrintsTheBytes(t *testing.T) {
	h := newHolder()
	var out bytes.Buffer
	for _, logger := range []*slog.Logger{
		slog.New(slog.NewTextHandler(&out, nil)),
		slog.New(slog.NewJSONHandler(&out, nil)),
	} {
		logger.Info("x", slog.Any("a", h), slog.Any("b", h.Public), slog.Any("c", h.pointer), slog.Any("d", &h))
	}
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	if err := xml.NewEncoder(&out).Encode(h.Public); err != nil {
		t.Fatal(err)
	}
	// gob refuses a type without exported fields; what it wrote before is kept in out.
	_ = gob.NewEncoder(&out).Encode(h)
	if out.Len() == 0 || leaks(out.String()) {
		t.Fatalf("an encoder shows the value or wrote nothing (%d bytes)", out.Len())
	}
	if !strings.Contains(out.String(), secret.Placeholder) {
		t.Fatal("no placeholder in the output")
	}
}

func TestPanicDoesNotPrintTheBytes(t *testing.T) {
	defer func() {
		if leaks(fmt.Sprint(recover())) {
			t.Fatal("a recovered panic shows the value")
		}
	}()
	panic(newHolder())
}

func TestRevealCopies(t *testing.T) {
	src := []byte(canary)
	v := secret.New(src)
	src[0] = 'X'
	out := v.Reveal()
	if string(out) != canary {
		t.Fatal("New keeps the caller's slice")
	}
	out[0] = 'X'
	if string(v.Reveal()) != canary {
		t.Fatal("Reveal hands out the held slice")
	}
}

func TestZeroAndEqual(t *testing.T) {
	var zero secret.Value
	a, b := secret.New([]byte("a")), secret.New([]byte("b"))
	for _, tc := range []struct {
		name string
		got  bool
		want bool
	}{
		{"zero is zero", zero.IsZero(), true},
		{"empty is zero", secret.New(nil).IsZero(), true},
		{"zero equals empty", zero.Equal(secret.New(nil)), true},
		{"zero differs from a", zero.Equal(a), false},
		{"a equals a", a.Equal(secret.New([]byte("a"))), true},
		{"a differs from b", a.Equal(b), false},
		{"text", a.IsText(), true},
		{"binary", secret.New([]byte{0xff, 0xfe}).IsText(), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v", tc.name, tc.got)
		}
	}
	if zero.Reveal() != nil {
		t.Error("the zero value reveals something")
	}
}
