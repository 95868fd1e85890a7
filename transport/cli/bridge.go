package cli

import (
	"context"
	"log/slog"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

// agentKey is the key that was given to this program, or "".
func (a *app) agentKey() string {
	if key := a.getenv("COATCHECK_AGENT_KEY"); key != "" {
		return key
	}
	return a.getenv("ASS_AGENT_KEY")
}

// maxKeyBytes is the longest key that a desk looks up.
const maxKeyBytes = 512

// checkKey says what is wrong with a key, without repeating it.
func checkKey(key string) error {
	switch {
	case key == "":
		return usage("there is no agent key: put one from 'coatcheck agent add NAME' into COATCHECK_AGENT_KEY")
	case len(key) > maxKeyBytes || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return usage("what is in COATCHECK_AGENT_KEY is no key: it is too long, or has blanks or characters that no key has")
	default:
		return nil
	}
}

// bridge serves the client with what a desk elsewhere says. It opens no home.
func (a *app) bridge(ctx context.Context, server string) error {
	at, err := bridge.ParseServer(server)
	if err != nil {
		return usage("--server: %w", err)
	}
	key := a.agentKey()
	if err := checkKey(key); err != nil {
		return err
	}
	b := bridge.New(bridge.NewRemote(at, key), &bridge.Options{Log: a.logger(slog.LevelInfo)})
	return b.Serve(ctx, a.In, a.Out)
}
