package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// writeRights are the rights by which somebody changes a file or takes it over.
const writeRights = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | windows.FILE_WRITE_ATTRIBUTES | windows.FILE_WRITE_EA |
	windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL

// noWait is of Unix: here, pipes have names of their own.
const noWait = 0

// demand is what is asked of a file: the rights that nobody else may have.
type demand windows.ACCESS_MASK

const (
	private = ^demand(0)
	owned   = demand(writeRights)
)

// CheckFile accepts a regular file whose access list gives rights to its owner,
// SYSTEM and Administrators only, and that belongs to this user or to one of
// those. Errors: [vault.ErrLoosePermissions], [fs.ErrNotExist].
func CheckFile(path string) error { return check(path, false, private) }

// CheckDir is [CheckFile] for a folder.
func CheckDir(path string) error { return check(path, true, private) }

// CheckOwned accepts a file that nobody else can change; others may read it.
// Configuration and policy are such files. Who goes on to read it wants
// [OpenOwned].
func CheckOwned(path string) error { return check(path, false, owned) }

func check(path string, dir bool, d demand) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := checkKind(path, info, dir); err != nil {
		return err
	}
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return &fs.PathError{Op: "read access list", Path: path, Err: err}
	}
	return judge(path, sd, dir, d)
}

// checkOpen is check for a file that is open already.
func checkOpen(f *os.File, d demand) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkKind(f.Name(), info, false); err != nil {
		return err
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return &fs.PathError{Op: "read access list", Path: f.Name(), Err: err}
	}
	return judge(f.Name(), sd, false, d)
}

func judge(path string, sd *windows.SECURITY_DESCRIPTOR, dir bool, d demand) error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	trusted := func(sid *windows.SID) bool {
		return sid.Equals(user.User.Sid) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
			sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerRightsSid)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return err
	}
	if !trusted(owner) {
		return fmt.Errorf("%w: %s belongs to another user", vault.ErrLoosePermissions, path)
	}
	// No list at all, present or not, means that everybody may do everything.
	dacl, _, err := sd.DACL()
	if err != nil && !errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) {
		return err
	}
	if dacl == nil {
		return loose(path, dir)
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return err
		}
		if ace.Header.AceType == windows.ACCESS_DENIED_ACE_TYPE || ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 {
			continue
		}
		// Other kinds of entry carry their user elsewhere; what cannot be read is not trusted.
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE ||
			ace.Mask&windows.ACCESS_MASK(d) != 0 && !trusted((*windows.SID)(unsafe.Pointer(&ace.SidStart))) {
			return loose(path, dir)
		}
	}
	return nil
}

func loose(path string, dir bool) error {
	rights := "F"
	if dir {
		rights = "(OI)(CI)F"
	}
	return fmt.Errorf(`%w: others have rights on %s; run: icacls "%s" /inheritance:r /grant:r "%%USERNAME%%:%s"`,
		vault.ErrLoosePermissions, path, path, rights)
}

// syncDir does nothing: NTFS journals names by itself and has no call for it.
func syncDir(string) error { return nil }

// linkless reports whether err says that there are no hard links, as on FAT.
func linkless(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_NOT_SUPPORTED)
}
