package policy_test

import (
	"errors"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestParseNames(t *testing.T) {
	for _, r := range policy.Rights() {
		if got, err := policy.ParseRight(string(r)); got != r || err != nil {
			t.Errorf("%s: %s %v", r, got, err)
		}
	}
	for _, d := range policy.Doors() {
		if got, err := policy.ParseDoor(string(d)); got != d || err != nil {
			t.Errorf("%s: %s %v", d, got, err)
		}
	}
	_, right := policy.ParseRight("usee")
	_, door := policy.ParseDoor("cli")
	var invalid *vault.InvalidError
	for want, err := range map[string]error{
		"right is not one of list, use, reveal, set, rotate, delete, token": right,
		"door is not one of mcp, rest, egress":                              door,
	} {
		if !errors.As(err, &invalid) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
