package audit

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Outcomes of an [Entry].
const (
	Allowed = "allowed" // a decision without an effect of its own
	Denied  = "denied"  // refused by policy, or by the desk
	OK      = "ok"      // done
	Failed  = "failed"  // permitted, and could not be done
	Intent  = "intent"  // about to be done outside the database; its outcome follows with Ref, else it is unknown
)

// MaxFieldBytes is how much of one text field is kept; a longer one is cut and
// ends with \…
const MaxFieldBytes = 1024

// Entry is one event. Event and Time are required, other zero fields are left
// out. Every field is bounded text or a number: there is no place for a value.
//
// Text read back from the log is escaped (see [Quote]); it holds printable
// characters only.
type Entry struct {
	Time     time.Time  // kept in microseconds, UTC
	Event    string     // resource.action: secret.read, handle.issued, agent.created, …
	Actor    string     // who: identity.Principal.ID
	Door     string     // through which door
	Client   string     // what the client calls itself
	Addr     string     // from where
	Path     vault.Path // which secret
	Version  int        // which version; 0: the latest, or none
	Handle   string     // public id of the handle
	Target   string     // where to: a request without its query, an agent's name
	Outcome  string     // one of the constants above
	Rule     string     // name of the policy rule that decided
	RuleHash string     // hash of that rule
	Code     string     // stable code of a refusal or failure
	Ref      int64      // record this one belongs to: the intent of an outcome
}

// Record is an Entry in its place in the log.
type Record struct {
	Seq int64 // from 1, without gaps
	Entry
}
