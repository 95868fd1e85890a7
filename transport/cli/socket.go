package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// uidsOf reads socket_users: names of users of this machine, or their numbers.
func uidsOf(users []string) (uids []uint32, err error) {
	for _, name := range users {
		text := name
		if _, err := strconv.ParseUint(name, 10, 32); err != nil {
			known, err := user.Lookup(name)
			if err != nil {
				return nil, fmt.Errorf("socket_users: there is no user %q here", name)
			}
			text = known.Uid
		}
		uid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("socket_users: user %q has no number here", name)
		}
		uids = append(uids, uint32(uid))
	}
	return uids, nil
}

// program is the file that runs.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "" // then nobody is told
	}
	return path
}

// private is what nobody but the desk's user may open: the home, and a key that
// lies elsewhere.
func (a *app) private(h home) []string {
	list := []string{string(h), h.database(), h.key()}
	if choice, err := a.keySource(h); err == nil && choice.file() != "" {
		list[2] = choice.file()
	}
	return list
}

// socketFault says what to do when the socket cannot be made where it should be.
func socketFault(path string, err error) error {
	at, ok := errors.AsType[*fs.PathError](err)
	if ok && path != "" && strings.HasPrefix(at.Path, filepath.Dir(path)) && errors.Is(err, fs.ErrPermission) {
		return codedError{err, exitStorage, "Check who may write to the folder of the socket."}
	}
	return err
}
