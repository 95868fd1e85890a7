package vault_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// What a request may not carry is no place for a value either.
func TestSteeringHeader(t *testing.T) {
	for _, name := range []string{
		"Host", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "HTTP2-Settings", "Expect", "Content-Length", "Transfer-Encoding", "Accept-Encoding", "Range", "If-Range",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "Forwarded",
		"Proxy-Authorization", "Proxy-Connection", "Proxy-Else", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Else",
		"X_HTTP_Method_Override", "X-Forwarded_Host", "Content_Length", "Api_Key", "X.HTTP.Method", "X~Y", "", "X Y", "X-Ä",
	} {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if vault.SteeringHeader(spelled) == "" {
				t.Errorf("%q is taken", spelled)
			}
			if p, err := vault.ParsePlace("header:" + spelled + ":{}"); err == nil {
				t.Errorf("%q is a place: %q", spelled, p)
			} else {
				wantInvalid(t, err, "in", "")
			}
		}
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Content-Type", "X-Forward", "Ranges", "X-2"} {
		if why := vault.SteeringHeader(name); why != "" {
			t.Errorf("%s %s", name, why)
		}
		if _, err := vault.ParsePlace("header:" + name + ":{}"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
