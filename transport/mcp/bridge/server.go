package bridge

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// ErrServer is text that names no desk, or one that no key should go to.
var ErrServer = errors.New("not a desk to connect to")

// Server says where a desk is. The zero Server is nowhere.
type Server struct {
	text string // as it is shown
	base string // what requests start with
	path string // of the socket; "" over https
}

// ParseServer reads https://HOST[:PORT] or unix:///PATH/TO/SOCKET. The error is
// [ErrServer] with a reason that does not repeat the text, which may hold what
// somebody took for a password.
func ParseServer(text string) (Server, error) {
	no := func(format string, args ...any) (Server, error) {
		return Server{}, fmt.Errorf("%w: %w", ErrServer, fmt.Errorf(format, args...))
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return no("write https://HOST[:PORT] or unix:///PATH/TO/SOCKET")
	}
	switch strings.ToLower(scheme) {
	case "unix":
		if err := socket.CheckPath(rest); err != nil {
			return no("after unix:// comes the path: %w", err)
		}
		return Server{text: "unix://" + rest, base: "http://localhost", path: rest}, nil
	case "http":
		return no("over http:// the key would cross the network in clear text; use https://, or unix:// on the same machine")
	case "https":
	default:
		return no("only https:// and unix:// are spoken")
	}
	u, err := url.Parse("https://" + rest)
	switch {
	case err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":"):
		return no("after https:// comes HOST or HOST:PORT")
	case u.User != nil:
		return no("a key is never part of the address; it goes into COATCHECK_AGENT_KEY")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(rest, "#"):
		return no("nothing follows HOST:PORT; the path is always /mcp")
	}
	base := "https://" + u.Host
	return Server{text: base, base: base}, nil
}

// String is the address as it was given, without a slash at the end.
func (s Server) String() string { return s.text }

// Socket is the path of the unix socket, or "" over https.
func (s Server) Socket() string { return s.path }
