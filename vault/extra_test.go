package vault_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestParseExtra(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "{}": "", " { } ": "", `{"b":1,"a":[true,null,"x",{"y":"z"}]}`: `{"a":[true,null,"x",{"y":"z"}],"b":1}`,
		`{"n":12345678901234567890.5e3}`: `{"n":12345678901234567890.5e3}`, `{"ü":null}`: `{"ü":null}`,
	} {
		got, err := vault.ParseExtra(in)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
		if again, err := vault.ParseExtra(got); err != nil || again != got {
			t.Errorf("%s again: %q, %v", in, again, err)
		}
	}
}

func TestParseExtraRefuses(t *testing.T) {
	for _, in := range []string{
		"null", "[]", "1", `"x"`, "{", `{"a":1} {}`, `{"a":1}]`, `{"a":"text"}`, `{"":1}`, `{"a\u202e":1}`, `{"a\n":1}`, `{"a":1,"b":"`,
		`{"a":[` + strings.Repeat("1,", vault.MaxExtraBytes) + `1]}`, "{\"a\":[\"\xff\"]}", `{"` + strings.Repeat("n", vault.MaxTagBytes+1) + `":1}`,
	} {
		got, err := vault.ParseExtra(in)
		if err == nil {
			t.Errorf("%.80q was read as %.80q", in, got)
			continue
		}
		wantInvalid(t, err, "metadata", in)
	}
}
