package httpd

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// recallFor is for how long, at least, it is remembered whom a credential belonged
// to; after twice that it is looked up again.
const recallFor = time.Minute

// recall remembers whom credentials belonged to lately, by their SHA-256. It proves
// nothing, and serves requests only whose handler asks by itself whether their
// principal may still act ([Config.RESTProves]): looking the credential up before that
// would be the same question twice, and the dearer half of a reading but for its
// commit. To look instead whether anything in the tables of agents and tokens has
// changed was rejected: it is the look that costs, not what it finds.
type recall struct {
	mu sync.Mutex
	of forgetful[[sha256.Size]byte, identity.Principal]
}

func newRecall() *recall {
	return &recall{of: forgetful[[sha256.Size]byte, identity.Principal]{keep: recallFor, most: mostKept}}
}

func (r *recall) get(key string) (identity.Principal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of.get(sha256.Sum256([]byte(key)), time.Now())
}

func (r *recall) put(key string, who identity.Principal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of.put(sha256.Sum256([]byte(key)), who, time.Now())
}

func (r *recall) drop(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of.drop(sha256.Sum256([]byte(key)))
}

// proves reports whether whoever gets r finds out by itself that its principal may
// act. What has a body is refused here for what is wrong with that, and nobody is
// told so who is not known.
func (s *Server) proves(r *http.Request) bool {
	return s.restProves != nil && route(r) == restRoute && (r.Body == nil || r.Body == http.NoBody) && s.restProves(r)
}
