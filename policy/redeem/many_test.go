package redeem_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

// TestManyHandles holds the work that one request can ask for: near misses by
// the thousand are refused before anybody compares them with each other.
func TestManyHandles(t *testing.T) {
	almost := "ash_" + strings.Repeat("A", 28) + " "
	body := strings.Repeat(almost, redeem.MaxBodyBytes/len(almost))
	if _, err := redeem.Prepare(redeem.Call{Method: "POST", URL: "https://api.example.com/", Body: body}); err == nil {
		t.Fatal("accepted")
	}
}
