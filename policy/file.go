package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// File is a policy file that is read again when it changes. While its content
// is broken, the last good policy stays. Its methods may be called at the
// same time.
type File struct {
	path     string
	onReload func(*Policy, error)
	seen     atomic.Pointer[sight]

	mu   sync.Mutex // held while the file is read again
	last reading    // the last content, good or broken
	told string     // the trouble told last, "" when there is none
}

// sight is what the file looked like when it was last read.
type sight struct {
	info   os.FileInfo // nil: it could not be read
	fresh  bool        // read so soon after its change that another one may look the same
	policy *Policy     // the last good one
}

// settle is how long after its change a file is read again although it looks
// the same: longer than the steps in which file systems count time.
const settle = 2 * time.Second

// errChanging: the file changed each time while it was being read.
var errChanging = errors.New("the policy is being written")

// OpenFile reads the policy at path: a regular file, or a link to one, that
// nobody but its owner (this user or root) can change. Errors: *[SyntaxError],
// vault.ErrLoosePermissions, fs.ErrNotExist and others of the file system.
//
// onReload, if not nil, is told of each later change: the new policy and nil,
// or nil and what is wrong, once as long as it stays the same. It is called
// by whoever calls [File.Current] then, and should return soon.
func OpenFile(path string, onReload func(*Policy, error)) (*File, error) {
	f := &File{path: path, onReload: onReload}
	r := f.read()
	if r.err != nil {
		return nil, r.err
	}
	f.seen.Store(&sight{r.info, r.fresh, r.policy})
	return f, nil
}

// Current returns the policy as the file says now. It looks at the file's
// identity, size, mode and time of change, and reads it again when one
// differs: a change that was complete before the call is in the answer. It
// never returns nil.
//
// Write the file beside the old one and rename it, or it may be read half
// written; what is half written is most often broken and then not taken.
func (f *File) Current() *Policy {
	if s := f.seen.Load(); s.still(f.path) {
		return s.policy
	}
	p, err, news := f.reload()
	if news && f.onReload != nil {
		if err != nil {
			f.onReload(nil, err)
		} else {
			f.onReload(p, nil)
		}
	}
	return p
}

func (s *sight) still(path string) bool {
	if s.info == nil || s.fresh {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && same(s.info, info)
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime())
}

// reload reads the file again. news is whether there is something to tell:
// err, or that the policy p is in force.
func (f *File) reload() (p *Policy, err error, news bool) { //nolint:revive // err is what to tell, not how reload went
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.seen.Load()
	if old.still(f.path) { // somebody else was first
		return old.policy, nil, false
	}
	r := f.read()
	trouble := ""
	if p = r.policy; r.err != nil {
		p, trouble = old.policy, r.err.Error()+hex.EncodeToString(r.hash[:])
	}
	news = trouble != f.told || p != old.policy
	f.told = trouble
	f.seen.Store(&sight{r.info, r.fresh, p})
	return p, r.err, news
}

// reading is one attempt at the file.
type reading struct {
	info   os.FileInfo // nil when the file could not be read
	fresh  bool
	hash   [sha256.Size]byte // of the content; zero when it could not be read
	policy *Policy           // nil when err is not
	err    error
}

// read reads the file, and parses it unless the content is the last one. A
// file that changes meanwhile is read again, twice.
func (f *File) read() reading {
	for range 3 {
		src, info, err := f.content()
		if err != nil {
			return reading{err: err}
		}
		r := reading{info: info, hash: sha256.Sum256(src), policy: f.last.policy, err: f.last.err}
		if r.hash != f.last.hash {
			r.policy, r.err = Parse(f.path, src)
		}
		// Parsing takes longer than the pause between two writes of a program
		// that saves in place, so a file still being written shows here.
		if after, err := os.Stat(f.path); err == nil && same(info, after) && int64(len(src)) == min(info.Size(), MaxBytes+1) {
			age := time.Since(info.ModTime())
			r.fresh = age < settle && age > -settle
			f.last = r
			return r
		}
	}
	return reading{err: fmt.Errorf("%s: %w", f.path, errChanging)}
}

// content returns the bytes of the file and what the file was. The check, the
// bytes and info are of one and the same open file; that it still has the name
// is checked by the caller.
func (f *File) content() ([]byte, os.FileInfo, error) {
	file, err := private.OpenOwned(f.path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	var src []byte
	if err == nil {
		src, err = io.ReadAll(io.LimitReader(file, MaxBytes+1))
	}
	return src, info, errors.Join(err, file.Close())
}
