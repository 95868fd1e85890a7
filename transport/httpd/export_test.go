package httpd

import "log/slog"

// HostCheck is the check of Host for a plain server at port.
func HostCheck(port string, allow ...string) (func(host string) bool, error) {
	g, err := newGuard(port, false, allow, nil)
	if err != nil {
		return nil, err
	}
	return g.hostOK, nil
}

// Strangers returns what is told of users that were turned away.
func Strangers(log *slog.Logger) func(uid uint32, err error) {
	return (&strangers{log: log}).refused
}

// Break closes the TCP listener under a server that serves.
func (s *Server) Break() error { return s.ln.Close() }
