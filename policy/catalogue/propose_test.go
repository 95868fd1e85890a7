package catalogue_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// TestPropose: every provider's example is proposed under a name that speaks of
// it, and what only looks like one in part is nobody's.
func TestPropose(t *testing.T) {
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.All() {
		name := strings.ToUpper(p.Name) + "_API_KEY"
		if got, ok := c.Propose(name, secret.New([]byte(p.Example.Key))); !ok || got.Name != p.Name {
			t.Errorf("%s: %s, %v", name, got.Name, ok)
		}
		if _, ok := c.Propose(name, secret.New([]byte("https://example.com/"))); ok {
			t.Errorf("%s with a URL is proposed", name)
		}
		got, ok := c.Propose("SOMETHING", secret.New([]byte(p.Example.Key)))
		if want := len(p.Prefixes) > 0; ok != want || ok && got.Name != p.Name {
			t.Errorf("%s by its value alone: %s, %v", p.Name, got.Name, ok)
		}
	}
	if _, ok := c.Propose("OPENAI_API_KEY", secret.New([]byte("sk-proj-!!!!!!!!!!!!!!!!!!!!!!!!!"))); ok {
		t.Error("the prefix alone is enough")
	}
	if _, ok := c.Propose("MYTWILIOKEY", secret.New([]byte(strings.Repeat("0a", 16)))); ok {
		t.Error("a part of a word is enough")
	}
}
