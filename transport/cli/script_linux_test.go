package cli_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// addHelpers adds the programs that scripts about storage need.
//
// "unprivileged PROGRAM [ARG…]" runs a program for which the modes of files
// count, also when the tests run as root: without the capabilities that let
// root past them.
//
// "readonly DIR PROGRAM [ARG…]" runs a program for which DIR is a read-only
// filesystem: in a namespace of its own, where DIR is mounted over itself. Where
// the system lets nobody do that (some containers), nobody may write to DIR
// instead, which the program cannot tell from the exit code.
func addHelpers(commands map[string]func()) {
	commands["unprivileged"] = func() { unprivileged(os.Args[1:]) }
	commands["readonly"] = func() { readonly(os.Args[1], os.Args[2:]) }
	addFull(commands)
	commands["readonly-inside"] = func() { readonlyInside(os.Args[1], os.Args[2:]) }
}

func unprivileged(command []string) {
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // the thread that loses the capabilities is the one that goes on
		for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER} {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
				fmt.Fprintln(os.Stderr, "drop a capability:", err)
				os.Exit(helperFailed)
			}
		}
	}
	becomeProgram(command)
}

func readonly(dir string, command []string) {
	cmd := newProgram("readonly-inside", append([]string{dir}, command...))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, // root in there is who runs the tests
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	if _ = cmd.Run(); cmd.ProcessState != nil && cmd.ProcessState.ExitCode() != helperFailed {
		os.Exit(cmd.ProcessState.ExitCode())
	}
	unwritable(dir, append([]string{"unprivileged"}, command...))
}

// readonlyInside runs in the namespace. It writes nothing, since the streams are
// those of the program.
func readonlyInside(dir string, command []string) {
	const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC // may not be dropped in here
	var was unix.Statfs_t
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""),
		unix.Statfs(dir, &was),
		unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|uintptr(was.Flags)&kept, ""),
	)
	if err != nil || !errors.Is(os.WriteFile(filepath.Join(dir, "probe"), nil, 0o600), syscall.EROFS) {
		os.Exit(helperFailed)
	}
	becomeProgram(command)
}
