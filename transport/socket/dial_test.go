//go:build linux || darwin

package socket_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestWay: no third user could have put the socket where it is.
func TestWay(t *testing.T) {
	type row struct {
		name  string
		spoil func(dir, path string) (dial string, err error)
		want  error
	}
	chmod := func(mode os.FileMode) func(dir, path string) (string, error) {
		return func(_, path string) (string, error) { return path, os.Chmod(filepath.Dir(path), mode) }
	}
	rows := []row{
		{"a good one", chmod(0o755), nil},
		{"the group may write to its folder", chmod(0o770), vault.ErrLoosePermissions},
		{"all may write to its folder", chmod(0o777), vault.ErrLoosePermissions},
		{"all may write to its sticky folder", chmod(0o777 | os.ModeSticky), vault.ErrLoosePermissions},
		{"all may write further up", func(dir, path string) (string, error) { return path, os.Chmod(dir, 0o777) }, vault.ErrLoosePermissions},
		{"sticky further up, but the folder is ours", func(dir, path string) (string, error) {
			return path, os.Chmod(dir, 0o777|os.ModeSticky)
		}, nil},
		{"through a link", func(dir, _ string) (string, error) {
			link := filepath.Join(dir, "link")
			return filepath.Join(link, "desk.sock"), os.Symlink("run/../run", link)
		}, nil},
		{"through an absolute link to the file", func(dir, path string) (string, error) {
			link := filepath.Join(dir, "link")
			return link, os.Symlink(path, link)
		}, nil},
		{"through a link that all may change", func(dir, path string) (string, error) {
			loose := filepath.Join(dir, "loose")
			return filepath.Join(loose, "link"), errors.Join(os.Mkdir(loose, 0o700), os.Symlink(path, filepath.Join(loose, "link")), os.Chmod(loose, 0o777))
		}, vault.ErrLoosePermissions},
		{"a link to itself", func(dir, _ string) (string, error) {
			link := filepath.Join(dir, "link")
			return link, os.Symlink(link, link)
		}, syscall.ELOOP},
		{"nothing there", func(_, path string) (string, error) { return path + "2", nil }, fs.ErrNotExist},
		{"not a folder", func(_, path string) (string, error) { return path + "/desk.sock", nil }, syscall.ENOTDIR},
		{"a folder", func(_, path string) (string, error) { return filepath.Dir(path), nil }, socket.ErrPath},
		{"relative", func(_, _ string) (string, error) { return "desk.sock", nil }, socket.ErrPath},
	}
	if root() { // who may give files away
		chown := func(what func(dir, path string) string, uid int) func(dir, path string) (string, error) {
			return func(dir, path string) (string, error) { return path, os.Lchown(what(dir, path), uid, uid) }
		}
		its := func(_, path string) string { return filepath.Dir(path) }
		file := func(_, path string) string { return path }
		rows = append(rows,
			row{"the folder of another user", chown(its, thirdUID), vault.ErrLoosePermissions},
			row{"the file of another user", chown(file, thirdUID), socket.ErrImpostor},
			row{"folder and file of another user", func(_, path string) (string, error) {
				return path, errors.Join(os.Lchown(path, thirdUID, thirdUID), os.Lchown(filepath.Dir(path), thirdUID, thirdUID))
			}, socket.ErrImpostor},
			row{"made by another user in a sticky folder", func(dir, path string) (string, error) {
				return path, errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.Lchown(path, thirdUID, thirdUID), os.Lchown(filepath.Dir(path), thirdUID, thirdUID))
			}, vault.ErrLoosePermissions},
		)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := folder(t)
			path := filepath.Join(dir, "run", "desk.sock")
			greet(t, listen(t, path, nil))
			where, err := row.spoil(dir, path)
			if err != nil {
				t.Fatal(err)
			}
			text, _, err := read(t.Context(), where)
			if !errors.Is(err, row.want) || (err == nil) != (text == "hello") {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// TestGenuine: what listens runs as the owner of the file, or is not spoken to.
func TestGenuine(t *testing.T) {
	if err := socket.Genuine(socket.Peer{UID: 7}, 7); err != nil {
		t.Error(err)
	}
	if err := socket.Genuine(socket.Peer{UID: 0}, 7); !errors.Is(err, socket.ErrImpostor) {
		t.Errorf("got %v", err)
	}
}

// TestNobodyListens: a dead socket is an error of its own.
func TestNobodyListens(t *testing.T) {
	path := filepath.Join(folder(t), "desk.sock")
	ln := listen(t, path, nil)
	ln.SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := socket.Dial(t.Context(), path); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}
