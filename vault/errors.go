package vault

import (
	"errors"
	"fmt"
	"time"
)

// The errors of a vault. Match them with errors.Is; each says what to do next.
var (
	// ErrNotFound: no live secret has that path. Check the spelling, or restore it.
	ErrNotFound = errors.New("no such secret")
	// ErrExpired: the secret is past its expiry and its value stays shut; it is
	// an [ErrNotFound] too (CONTRACT §19.14). Set another expiry; a new value alone
	// does not bring it back.
	ErrExpired = fmt.Errorf("secret has expired: %w", ErrNotFound)
	// ErrVersionRetired: a rotation ended that version; it is an [ErrNotFound]
	// too. Ask for the latest.
	ErrVersionRetired = fmt.Errorf("version was retired by a rotation: %w", ErrNotFound)
	// ErrExists: the path already has a live secret. Change it instead of creating it.
	ErrExists = errors.New("secret already exists")
	// ErrPathConflict: a secret and a namespace would share a path. Choose another path.
	ErrPathConflict = errors.New("a secret and a namespace may not share a path")
	// ErrReadOnly: the vault's storage refuses writes. Check the disk and its permissions.
	ErrReadOnly = errors.New("vault is read-only")
	// ErrStorageFull: the disk has no room; nothing was changed. Free room and try again.
	ErrStorageFull = errors.New("no room left for the vault")
	// ErrStorageFailed: the disk failed in the middle of its work. Whether the
	// last change was made shows at the next look; check the disk first.
	ErrStorageFailed = errors.New("the vault's storage failed")
	// ErrBusy: another process held the vault for too long; nothing was changed. Try again.
	ErrBusy = errors.New("vault is busy")
	// ErrCorrupt: a record does not authenticate or does not parse. Restore a backup.
	ErrCorrupt = errors.New("vault record is damaged")
	// ErrNewer: the database was written by a newer coatcheck. Upgrade this one.
	ErrNewer = errors.New("database is newer than this program")
	// ErrForeign: the file is not a coatcheck database. Point to another file.
	ErrForeign = errors.New("not a coatcheck database")
	// ErrKeyMissing: the key that opens the vault is not where the key source
	// says. Put it back; without it the values cannot be read.
	ErrKeyMissing = errors.New("key is missing")
	// ErrKeyWrong: that key does not open this vault. Use the one it was made with.
	ErrKeyWrong = errors.New("key does not open this vault")
	// ErrKeyUnavailable: what keeps the key does not answer, or refuses. Nothing
	// is lost; see to it and try again.
	ErrKeyUnavailable = errors.New("key cannot be reached")
	// ErrUnreachable: the vault lies elsewhere and gave no answer, or none that makes
	// sense. Whether a change was made shows at the next look. Check its address and
	// the network, and try again.
	ErrUnreachable = errors.New("vault cannot be reached")
	// ErrUnsupported: the vault has no such thing, and nothing was done; it is an
	// [errors.ErrUnsupported]. Ask for it in another way.
	ErrUnsupported = fmt.Errorf("the vault has no such thing: %w", errors.ErrUnsupported)
	// ErrLoosePermissions: others could read or change a file that must be
	// private. Tighten it as the message says.
	ErrLoosePermissions = errors.New("permissions are too loose")
	// ErrNetworkFilesystem: the database lies on a filesystem without reliable
	// locks. Move it to a local disk.
	ErrNetworkFilesystem = errors.New("database lies on a network filesystem")
)

// RefusedError is a vault elsewhere that does not let this desk do what it asked
// for; nothing was done.
type RefusedError struct {
	Code string // the vault's own: at most 64 letters, digits and "_"
	// Approval is the id, at that vault, of the request that its own people must
	// approve first; "" when that is not what it waits for.
	Approval string
	// RetryAfter is when it is worth asking again; 0: it was not asked too often.
	RetryAfter time.Duration
}

// Final reports that neither people nor time change the answer.
func (e *RefusedError) Final() bool { return e.Approval == "" && e.RetryAfter == 0 }

// Error says so; the code comes with what the vault said.
func (*RefusedError) Error() string { return "the vault refuses this desk" }

// InvalidError says which input field breaks which rule. Its text never
// contains the input.
type InvalidError struct {
	Field string // as the user named it: path, value, tier, to, …
	Rule  string // continues a sentence: "is empty", "is longer than 512 bytes"
}

// Error returns "FIELD RULE".
func (e *InvalidError) Error() string { return e.Field + " " + e.Rule }

func invalid(field, rule string, args ...any) error {
	return &InvalidError{Field: field, Rule: fmt.Sprintf(rule, args...)}
}
