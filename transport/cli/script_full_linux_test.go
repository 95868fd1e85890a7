package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// addFull adds "full FREE DIR PROGRAM [ARG…]", which runs a program for which DIR
// lies on a disk of its own with FREE bytes left: a small tmpfs in a namespace of
// its own, with what was in DIR. What the program left there is in DIR afterwards.
func addFull(commands map[string]func()) {
	commands["full"] = func() {
		cmd := newProgram("full-inside", os.Args[1:])
		ownMounts(cmd)
		if err := cmd.Run(); cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(helperFailed)
		}
		os.Exit(cmd.ProcessState.ExitCode())
	}
	commands["full-inside"] = func() { fullInside(os.Args[1], os.Args[2], os.Args[3:]) }
}

// ownMounts gives a program a namespace of mounts in which it may mount.
func ownMounts(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
}

// canFull reports whether the system lets somebody make such a disk; some
// containers do not.
func canFull(dir string) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	cmd := exec.CommandContext(context.Background(), self, "0", dir)
	cmd.Args[0] = "full-inside" // by which name this program knows what to be
	ownMounts(cmd)
	return cmd.Run() == nil
}

func fullInside(free, dir string, command []string) {
	left, err := strconv.ParseInt(free, 10, 64)
	below, openErr := os.Open(dir) // the folder itself, once the disk hides it
	err = errors.Join(err, openErr,
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=0700"))
	if err == nil {
		was := fmt.Sprintf("/proc/self/fd/%d", below.Fd())
		filler := filepath.Join(dir, "filler")
		err = errors.Join(copyFiles(was, dir), fill(filler, left))
		code := 0
		if err == nil && len(command) > 0 {
			code = runProgram(command)
		}
		err = errors.Join(err, os.Remove(filler), copyFiles(dir, was))
		runtime.KeepAlive(below) // else the collector may close what was names
		if err == nil {
			os.Exit(code)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(helperFailed)
}

func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	for _, e := range entries {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(from, e.Name())); err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// fill makes a file so large that left bytes remain on its disk.
func fill(path string, left int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, fs.FileMode(0o600))
	if err != nil {
		return err
	}
	for size := int64(0); ; size += 4096 {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			return errors.Join(f.Truncate(max(0, size-left)), f.Close())
		} else if err != nil {
			return errors.Join(err, f.Close())
		}
	}
}
