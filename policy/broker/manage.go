package broker

import (
	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// manages reports that rules are not asked about who: they are for agents. What
// people do is recorded all the same. An admin works through the network door for
// programs and the command line; its key in the hands of a model is refused.
func manages(who identity.Principal) bool {
	return who.Kind == identity.Owner || who.Kind == identity.Admin && (who.Door == policy.DoorREST || who.Door == policy.DoorCLI)
}

// adminID is the id under which what who makes for others is kept: "" of who is no
// admin.
func adminID(who identity.Principal) string {
	if who.Kind != identity.Admin {
		return ""
	}
	return who.ID()
}
