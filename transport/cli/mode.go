package cli

import (
	"context"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

// The modes that doctor tells apart.
const (
	modeOwn   = "M0" // the desk is within reach of programs that the agent runs
	modeApart = "M2" // it is not
)

// outlook is what holds where an agent runs. It is [modeApart] only if each part
// of that was seen; what was not is in why.
type outlook struct {
	mode    string
	why     []string // one reason or more; each stands in a line above too, if there are more
	promise string   // what that protects, and what to do
}

// finding is the last line of doctor.
func (o outlook) finding() finding {
	state, why := "warn", o.why[0]
	if o.mode == modeApart {
		state = "ok"
	}
	if more := len(o.why) - 1; more > 0 {
		why += fmt.Sprintf("; the lines above have %d more", more)
	}
	return finding{state, "mode", o.mode + ": " + why + ". " + o.promise}
}

const (
	ownPromise   = "Prompts, transcripts and logs are protected, not against a program that an agent runs"
	apartPromise = "Programs that this user runs reach secrets through the desk alone. Not seen from here: rights that this user could take, by sudo or by a group such as docker, and root"
	askThere     = "ask the desk from the agent's side: coatcheck doctor --server URL"
	howApart     = "To change that, give the desk a user of its own (examples/deploy) and start clients with 'coatcheck mcp --server'"
)

// atHome judges from the home's side, where nothing more than [modeOwn] can show.
func atHome(h home, opens bool) outlook {
	me := userText(ownUID())
	if !opens {
		return outlook{modeOwn, []string{"nothing more is shown, since this user (" + me + ") has no home here to look at"}, askThere}
	}
	why := fmt.Sprintf("this user (%s) can read %s, and with it what opens the secrets; so can a program that an agent runs as this user", me, h.database())
	return outlook{modeOwn, []string{why}, ownPromise + ". " + howApart + ". Where no agent runs as this user, " + askThere}
}

// examineDesk asks a desk as an agent's client would, and looks at what else is
// within this user's reach.
func (a *app) examineDesk(ctx context.Context, server string) (list []finding, seen outlook, err error) {
	at, err := bridge.ParseServer(server)
	if err != nil {
		return nil, seen, usage("--server: %w", err)
	}
	key := a.agentKey()
	if key != "" {
		if err := checkKey(key); err != nil {
			return nil, seen, err
		}
	}
	desk := bridge.NewRemote(at, key)
	defer desk.Close()
	health, err := desk.Health(ctx)
	if err != nil {
		seen = outlook{modeOwn, []string{"nothing more is shown, since the desk could not be asked"}, ownPromise}
		return []finding{{"fail", "desk", err.Error()}, seen.finding()}, seen, nil
	}
	list = append(list, finding{"ok", "desk", fmt.Sprintf("coatcheck %s at %s", health.Version, at)})
	if !health.Ready {
		list = append(list, finding{"fail", "ready", "the desk says that it cannot work now; its log says why"})
	}
	accepted := checkKeyAt(ctx, desk, key)
	list = append(list, accepted)
	switch {
	case at.Socket() == "":
		seen = outlook{
			modeOwn,
			[]string{"nothing more is shown: over https it is seen that a certificate proves the desk's name, not under which user it runs or who can read its home"},
			"On the desk's machine ask as the agent's user: coatcheck doctor --server unix:///PATH/TO/SOCKET",
		}
	default:
		var more []finding
		more, seen = besideDesk(desk, health, accepted.State == "ok")
		list = append(list, more...)
	}
	return append(list, seen.finding()), seen, nil
}

// checkKeyAt is the line about the key.
func checkKeyAt(ctx context.Context, desk *bridge.Remote, key string) finding {
	if key == "" {
		return finding{"warn", "agent key", "not checked: COATCHECK_AGENT_KEY is not set"}
	}
	if err := desk.CheckKey(ctx); err != nil {
		return finding{"fail", "agent key", err.Error()}
	}
	return finding{"ok", "agent key", "accepted"}
}

// besideDesk judges a desk of this machine: it is apart if it runs as somebody
// else, and every door but its socket was tried and found shut.
func besideDesk(desk *bridge.Remote, health bridge.Health, accepted bool) (list []finding, seen outlook) {
	var within []string
	note := func(what, good string, bad ...string) {
		if len(bad) == 0 {
			list = append(list, finding{"ok", what, good})
			return
		}
		list = append(list, finding{"warn", what, strings.Join(bad, "; ")})
		within = append(within, bad...)
	}
	me := ownUID()
	peer, known := desk.Peer()
	switch {
	case !known:
		note("user", "", "the system does not tell under which user the desk runs")
	case me == 0:
		note("user", "", "this is root, who can read everything")
	case peer.UID == me:
		note("user", "", "the desk runs as this user, "+userText(me))
	default:
		note("user", fmt.Sprintf("the desk runs as %s, this is %s", userText(peer.UID), userText(me)))
	}
	if known {
		note("process", "its environment and memory are closed to this user", openProcess(peer.PID)...)
	}
	note("home", strings.Join(health.Private, ", ")+": closed to this user", openFiles(health.Private, health.Program)...)
	if !accepted {
		within = append(within, "the agent's key was not found to be accepted")
	}
	if len(within) > 0 {
		return list, outlook{modeOwn, within, ownPromise + ". " + howApart}
	}
	return list, outlook{modeApart, []string{"the desk runs as another user, and nothing of it but its socket is open to this one"}, apartPromise}
}

// userText is a user by name and number.
func userText(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if known, err := user.LookupId(number); err == nil && known.Username != "" {
		return known.Username + ", uid " + number
	}
	return "uid " + number
}
