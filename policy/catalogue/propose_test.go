package catalogue_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
)

// TestPropose: every provider's example is proposed under a name that speaks of
// it, and what only looks like one in part is nobody's.
func TestPropose(t *testing.T) {
	c := catalogue.New()
	for _, p := range c.All() {
		for _, word := range append([]string{p.Name}, p.Words...) {
			for _, name := range []string{strings.ToUpper(strings.ReplaceAll(word, "-", "_")) + "_API_KEY", "production/" + word + "/key"} {
				if got := names(c.Propose(name, value(p.Example.Key))); got != p.Name {
					t.Errorf("%s: %q", name, got)
				}
				if got := c.Propose(name, value("https://example.com/")); len(got) > 0 {
					t.Errorf("%s with a URL is proposed", name)
				}
			}
		}
		want := p.Name
		if shared := sharing[p.Name]; shared != "" {
			want = shared
		} else if len(p.Prefixes) == 0 {
			want = ""
		}
		if got := names(c.Propose("SOMETHING", value(p.Example.Key))); got != want {
			t.Errorf("%s by its value alone: %q, not %q", p.Name, got, want)
		}
	}
}

func TestProposeByName(t *testing.T) {
	c := catalogue.New()
	hex32, hex40 := strings.Repeat("0a", 16), strings.Repeat("0a", 20)
	aiza := "AIza" + strings.Repeat("Sy3Cd", 7)
	for _, test := range []struct{ name, value, want string }{
		{"OPENAI_API_KEY", "sk-proj-!!!!!!!!!!!!!!!!!!!!!!!!!", ""}, // the prefix alone
		{"OPENAI_BASE_URL", "https://api.openai.com/v1", ""},
		{"MYTWILIOKEY", hex32, ""}, // a part of a word
		{"TWILIO_AUTH_TOKEN", hex32, "twilio"},
		{"twilio.auth-token", hex32, "twilio"},
		{"TWILIO_WEBHOOK_SECRET", hex32, ""}, // the provider's, and no key to its API
		{"SPOTIFY_CLIENT_ID", hex32, ""},
		{"SPOTIFY_CLIENT_SECRET", hex32, "spotify"},
		{"DEEPSEEK_API_KEY", "sk-" + hex32, "deepseek"},
		{"OPENAI_API_KEY", "sk-" + hex32, "deepseek"}, // the shape is DeepSeek's, whatever the name says
		{"OPENAI_API_KEY", "sk-or-v1-" + hex32 + hex32, "openrouter"},
		{"KEY", "sk-" + strings.Repeat("aB3", 16), "openai"},
		{"KEY", "sk_test_" + hex40, "paystack stripe"},
		{"PAYSTACK_KEY", "sk_test_" + hex40, "paystack"},
		{"KEY", "sk_test_" + hex32, "stripe"},
		{"KEY", aiza, "gemini google-maps"},
		{"GOOGLE_API_KEY", aiza, "gemini google-maps"},
		{"GOOGLE_MAPS_API_KEY", aiza, "google-maps"},
		{"GEMINI_API_KEY", aiza, "gemini"},
		{"YOUTUBE_API_KEY", aiza, "gemini google-maps"}, // a third service of that shape: a choice stays one
		{"TWILIO_AND_DATADOG_KEY", hex32, "datadog twilio"},
		{"DD_API_KEY", hex32, "datadog"},
		{"", hex32, ""},
	} {
		if got := names(c.Propose(test.name, value(test.value))); got != test.want {
			t.Errorf("%s with %s: %q, want %q", test.name, test.value, got, test.want)
		}
	}
}

// The public prefix is shown of whole keys only: what merely begins like one is
// a passphrase, perhaps, and a character of it.
func TestPublicPrefix(t *testing.T) {
	c := catalogue.New()
	for in, want := range map[string]string{
		"": "", "sk-": "", "sk-proj-": "", "sk-proj-short": "", "nothing-known-0123456789": "",
		"sk-proj-0123456789abcdefghij": "sk-proj-", "sk-proj-0123456789abcde": "", "SK-PROJ-0123456789abcdefghij": "", " sk-proj-0123456789abcdefghij": "",
		"sk-0123456789abcdefXYZ": "", "sk-my-dog-is-called-rex-and-he-is-nine": "", "sk-" + strings.Repeat("aB3", 16): "sk-", "sk-" + strings.Repeat("aB3", 16) + "x": "",
		"sk-ant-0123456789abcdefghi": "", "sk-ant-api03-0123456789abcdefghijklmn": "sk-ant-api03-", "github_pat_0123456789abcdef": "",
		"patricia-is-the-best-of-1987": "", "sbp_service_token_production": "", "re_captcha_secret_key_production": "", "hf_token_of_production_2026": "",
		"api-gateway-production-2026": "", "secret_of_the_production_database": "", "pk_production_database_2026": "",
	} {
		if got := c.PublicPrefix(value(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if found := c.ForValue(value(in)); len(found) > 0 != (want != "") {
			t.Errorf("%q: %v", in, names(found))
		}
	}
}

// TestResembles: a key in a name is found though it was cut; a name is a name.
func TestResembles(t *testing.T) {
	c := catalogue.New()
	for _, p := range c.All() {
		if resembles := c.Resembles(p.Example.Key); resembles != (len(p.Prefixes) > 0) {
			t.Errorf("%s: %v", p.Name, resembles)
		}
	}
	for text, want := range map[string]bool{
		"ghp_Zq7xZq7xZq7xZq7xZq7x": true, "sk-Zq7xZq7xZq7xZq7x-": true, "gsk_Zq7xZq7xZq7xZq7x": true, "AIzaZq7xZq7xZq7xZq7xZq7x": true,
		"": false, "ghp_": false, "ghp_Zq7xZq7xZq7xZq7": false, "sbp_service_token_production": false, "sk-production-openai-key-2026": false, "re_captcha_secret_key_1": false,
		"pat-of-production-2026-01-31": false, "patriciasproductionkey": false, "hf_1234567890123456": false, "Zq7xZq7xZq7xZq7xZq7xZq7x": false, "OPENAI_API_KEY": false,
	} {
		if got := c.Resembles(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestPublicPrefixHidesTheRest: whatever follows a prefix, what is shown is in
// the catalogue and leaves 16 bytes or more unsaid.
func TestPublicPrefixHidesTheRest(t *testing.T) {
	c := catalogue.New()
	var known []string
	for _, p := range c.All() {
		known = append(known, p.Prefixes...)
	}
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom(known).Draw(t, "prefix")
		text := prefix + rapid.StringMatching(`[0-9a-f]{0,70}|[0-9a-f]{40}|[A-Za-z0-9]{32,48}|[A-Za-z0-9_.-]{0,90}`).Draw(t, "rest")
		shown := c.PublicPrefix(value(text))
		if shown == "" {
			return
		}
		seen++
		if !slices.Contains(known, shown) || !strings.HasPrefix(text, shown) || len(text) < len(shown)+16 {
			t.Fatalf("%q shows %q", text, shown)
		}
	})
	if seen == 0 {
		t.Error("no key among them")
	}
}
