//go:build linux || darwin

package socket

// Genuine is genuine.
var Genuine = genuine

// LetIn replaces the users that may connect.
func (l *Listener) LetIn(users ...uint32) { l.users = users }
