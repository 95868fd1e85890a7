package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// examineKey looks at what opens the vault, without opening anything.
func (a *app) examineKey(h home) []finding {
	choice, err := a.keySource(h)
	if err != nil {
		return []finding{{"fail", "key", err.Error()}}
	}
	says := choice.source.String()
	if file := choice.file(); file != "" {
		says = file
		if err := private.CheckFile(file); errors.Is(err, fs.ErrNotExist) {
			return []finding{{"fail", "key", fmt.Errorf("%w: there is no key file %s", vault.ErrKeyMissing, file).Error()}}
		} else if err != nil {
			return []finding{{"fail", "key", err.Error()}}
		}
	}
	if choice.by != "" {
		says += ", by " + choice.by
	}
	list := []finding{{"ok", "key", says}}
	if choice.file() == h.key() {
		list = append(list, finding{"warn", "key", "the key lies beside the database: a backup that holds both protects nothing"})
	}
	if choice.change != nil {
		list = append(list, finding{"warn", "key", "a change of the key source is not finished: coatcheck rekey"})
	}
	return list
}

// examineKeyring looks at the key of an open vault.
func (d *desk) examineKeyring(ctx context.Context, now time.Time) finding {
	state, err := d.keys.State(ctx, d.db)
	switch days := int(now.Sub(state.Made).Hours() / 24); {
	case err != nil:
		return finding{"fail", "key", err.Error()}
	case state.Unfinished:
		return finding{"warn", "key", fmt.Sprintf("a rekey of %s is not finished: coatcheck rekey", state.Made.Format(time.DateOnly))}
	default:
		return finding{"ok", "key", fmt.Sprintf("made on %s, %d days ago", state.Made.Format(time.DateOnly), max(0, days))}
	}
}
