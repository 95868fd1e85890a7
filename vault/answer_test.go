package vault_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestParseAnswer(t *testing.T) {
	for in, want := range map[string]string{
		"full": "full", "status": "status", "fields:/id": "fields:/id", "fields:/b,/a,/b": "fields:/a,/b", "fields:/choices/*/text,/a~1b/0": "fields:/a~1b/0,/choices/*/text",
	} {
		a, err := vault.ParseAnswer(in)
		if err != nil || a.String() != want {
			t.Errorf("%q: %q, %v", in, a, err)
		}
		if again, err := vault.ParseAnswer(a.String()); err != nil || !again.Equal(a) {
			t.Errorf("%q again: %q, %v", in, again, err)
		}
	}
	if (vault.Answer{}).String() != "full" {
		t.Error("the zero answer does not show all")
	}
}

func TestParseAnswerRefuses(t *testing.T) {
	for _, in := range []string{
		"", "Full", "none", "full:", "status:", "status:/a", "full:/a", "fields", "fields:", "fields:a", "fields:/a,", "fields:/a,b", "fields:/~", "fields:/ä", "fields:/a\n", "fields: /a",
		"fields:/" + strings.Repeat("x", 600), "fields:/a" + strings.Repeat(",/a", vault.MaxAnswerFields),
	} {
		a, err := vault.ParseAnswer(in)
		if err == nil {
			t.Errorf("%q was read as %q", in, a)
			continue
		}
		wantInvalid(t, err, "answer", in)
	}
}

func TestDestinationChecksItsAnswer(t *testing.T) {
	for name, a := range map[string]vault.Answer{
		"unknown":            {Show: "some"},
		"no fields":          {Show: vault.ShowFields},
		"fields of a status": {Show: vault.ShowStatus, Fields: []vault.Pointer{"/a"}},
		"fields of all":      {Fields: []vault.Pointer{"/a"}},
		"a comma":            {Show: vault.ShowFields, Fields: []vault.Pointer{"/a,b"}},
	} {
		d, err := vault.ParseDestination("api.example.com", vault.Bearer)
		if err != nil {
			t.Fatal(err)
		}
		d.HTTP.Answer = a
		if err := d.Check(); err == nil {
			t.Errorf("%s is allowed", name)
		} else {
			wantInvalid(t, err, "answer", "")
		}
	}
}
