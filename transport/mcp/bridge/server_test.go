package bridge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"https://desk.example.com":        "https://desk.example.com",
		"https://desk.example.com/":       "https://desk.example.com",
		"https://desk.example.com:7420":   "https://desk.example.com:7420",
		"HTTPS://127.0.0.1:7420":          "https://127.0.0.1:7420",
		"https://[::1]:7420":              "https://[::1]:7420",
		"unix:///run/coatcheck/desk.sock": "unix:///run/coatcheck/desk.sock",
		"unix:///run/a b/desk.sock":       "unix:///run/a b/desk.sock",
	} {
		got, err := bridge.ParseServer(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"":                               "write https://HOST[:PORT] or unix:///PATH/TO/SOCKET",
		"desk.example.com":               "write https://HOST",
		"/run/desk.sock":                 "write https://HOST",
		"http://127.0.0.1:7420":          "the key would cross the network in clear text; use https://, or unix://",
		"ftp://desk.example.com":         "only https:// and unix:// are spoken",
		"https://":                       "after https:// comes HOST",
		"https://:7420":                  "after https:// comes HOST",
		"https://desk.example.com:":      "after https:// comes HOST",
		"https://a b":                    "after https:// comes HOST",
		"https://SECRET@desk.example":    "a key is never part of the address",
		"https://desk.example/mcp":       "nothing follows HOST:PORT; the path is always /mcp",
		"https://desk.example/?":         "nothing follows HOST:PORT",
		"https://desk.example/?k=SECRET": "nothing follows HOST:PORT",
		"https://desk.example/#":         "nothing follows HOST:PORT",
		"unix://run/desk.sock":           "not the path of a socket: it does not start at /",
		"unix://localhost/run/desk":      "it does not start at /",
		"unix:///run/../desk":            "write it without . and ..",
		"unix://":                        "it does not start at /",
	} {
		_, err := bridge.ParseServer(text)
		if !errors.Is(err, bridge.ErrServer) || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
