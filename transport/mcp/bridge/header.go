package bridge

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// Header fields of Streamable HTTP.
const (
	headerSession = "Mcp-Session-Id"
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
)

// modernSince is the first revision without sessions. Revisions are dates and
// compare as text.
const modernSince = "2026-07-28"

func isModern(version string) bool { return version >= modernSince }

// modernHeaders are what 2026-07-28 wants beside the body, taken from the body.
func modernHeaders(h http.Header, version string, m envelope.Message) {
	h.Set(headerVersion, headerText(version))
	h.Set(headerMethod, string(m.Method))
	field := map[string]string{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}[string(m.Method)]
	if field == "" {
		return
	}
	var params map[string]json.RawMessage
	var name string
	if json.Unmarshal(m.Params, &params) == nil && json.Unmarshal(params[field], &name) == nil {
		h.Set(headerName, headerText(name))
	}
}

// headerText writes a value as the revision says: as it is, or in Base64 when it
// has anything but visible ASCII and inner spaces, or would be taken for that.
func headerText(value string) string {
	const open, shut = "=?base64?", "?="
	plain := strings.TrimSpace(value) == value && !strings.HasPrefix(value, open) &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r >= 0x7f })
	if plain {
		return value
	}
	return open + base64.StdEncoding.EncodeToString([]byte(value)) + shut
}
