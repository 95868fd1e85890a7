package httpd

// HostCheck is the check of Host for a plain server at port.
func HostCheck(port string, allow ...string) (func(host string) bool, error) {
	g, err := newGuard(port, false, allow, nil)
	if err != nil {
		return nil, err
	}
	return g.hostOK, nil
}
