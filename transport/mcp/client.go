package mcp

import (
	"context"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// maxLabelBytes bounds what a client's name for itself may take in the log.
const maxLabelBytes = 64

// clientOf returns the label of the client whose session ctx carries: what it
// calls itself, for the log only.
func clientOf(ctx context.Context) string {
	if s, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo); ok {
		return label(s.GetClientInfo())
	}
	return ""
}

// label returns NAME/VERSION in [A-Za-z0-9._+@/ -] and at most 64 bytes; every
// other character becomes "_".
func label(i mcp.Implementation) string {
	if i.Name == "" {
		return ""
	}
	text := i.Name
	if i.Version != "" {
		text += "/" + i.Version
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._+@/ -", r):
			return r
		default:
			return '_'
		}
	}, text[:min(len(text), 4*maxLabelBytes)])
	return text[:min(len(text), maxLabelBytes)]
}
