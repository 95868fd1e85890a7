package httpd

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

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

// Source is where a request comes from and whom it is charged to.
func Source(proxies []netip.Prefix, remote string, forwarded ...string) (addr, payer string) {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	if forwarded != nil {
		r.Header["X-Forwarded-For"] = forwarded
	}
	from := (&Server{proxies: proxies}).source(r)
	return from.addr, from.payer
}

// Pace is the pace of a server.
type Pace struct{ *pace[string] }

// NewPace allows so many at once and one more each step.
func NewPace(atOnce int, step time.Duration) Pace { return Pace{newPace[string](atOnce, step)} }

// Take is 0 or how long there is none.
func (p Pace) Take(key string) time.Duration { return p.take(key) }

// Kept is how many keys are kept at most just now.
func (p Pace) Kept() int { return len(p.even.young) + len(p.even.old) }

// MostKept bounds Kept.
const MostKept = 2 * mostKept

// Wrong rations look-ups.
type Wrong struct{ *wrong }

// NewWrong allows so many failures of one address in a minute.
func NewWrong(aMinute int) Wrong { return Wrong{newWrong(aMinute)} }

// Try has a credential looked up, unless that has to wait.
func (t Wrong) Try(from, key string, isRight bool) (wait time.Duration) {
	a := t.attempt(from, key)
	known, wait := t.begin(a)
	if wait > 0 {
		return wait
	}
	how := unknown
	if isRight {
		how = right
	}
	t.end(a, known, how)
	return 0
}

// Recall is what a server remembers of credentials.
type Recall struct{ r *recall }

// NewRecall remembers nothing yet.
func NewRecall() Recall { return Recall{newRecall()} }

// Put remembers whom a credential belongs to.
func (r Recall) Put(key string, who identity.Principal) { r.r.put(key, who) }

// Get is the zero Principal for an unknown one.
func (r Recall) Get(key string) identity.Principal {
	who, _ := r.r.get(key)
	return who
}
