// Package faults is a disk that fails when a test tells it to, for SQLite
// databases: a layer between SQLite and the operating system, as SQLite's own
// tests of I/O errors have one (sqlite.org/testing.html, section 3.2). Only tests
// import it.
//
// The one rule: the call with the chosen number fails, once or from then on, and
// everything else passes as it came.
//
//	disk, err := faults.Install(dir)
//	defer disk.Remove()
//	for n := 0; ; n++ {
//		disk.Fail(n, faults.Fault{Full: true})
//		…                                       // open, write, close a database in dir
//		if _, hit := disk.Heal(); !hit {
//			break                           // there were no more calls than n
//		}
//	}
//
// Counted are the calls that change a file: creating, writing, syncing,
// cutting and deleting it, and making room for the index of the log. A failing
// write leaves the first half of its bytes behind, as a disk may.
//
// Choice: SQLite's own interface for filing systems (sqlite.org/vfs.html), so
// that each call can be failed by itself and told apart. A FUSE filesystem and a
// small tmpfs were rejected: they need rights that a test may not have, and the
// latter fails writes only. What it does not see: files that are not SQLite's.
package faults

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Fault is how calls fail.
type Fault struct {
	Full bool // the disk is full, for calls that need room; else it is broken
	Stay bool // this call and all that follow; else this one alone
}

// Disk stands in front of the system's files. One at a time may be installed.
type Disk struct {
	dir  string
	tls  *libc.TLS
	base uintptr // the system's own *sqlite3_vfs
	vfs  uintptr // ours
	keep []any   // functions that C memory points to

	mu     sync.Mutex
	tables map[uintptr]uintptr // the system's methods of a file to ours
	real   map[uintptr]uintptr // and back
	next   int                 // number of the next call
	fail   int                 // of the one that fails; -1: none
	fault  Fault
	hit    string
}

// Install puts a Disk in front of all databases that this process opens from
// now on; it counts those under dir.
func Install(dir string) (*Disk, error) {
	d := &Disk{dir: dir, tls: libc.NewTLS(), tables: map[uintptr]uintptr{}, real: map[uintptr]uintptr{}, fail: -1}
	if rc := lib.Xsqlite3_initialize(d.tls); rc != lib.SQLITE_OK {
		return nil, fmt.Errorf("sqlite3_initialize: %d", rc)
	}
	d.base = lib.Xsqlite3_vfs_find(d.tls, 0)
	d.vfs = lib.Xsqlite3_malloc(d.tls, int32(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	name, err := libc.CString("faults")
	if err != nil || d.base == 0 || d.vfs == 0 {
		return nil, errors.Join(err, errors.New("no file system to stand in front of"))
	}
	ours := at[lib.Tsqlite3_vfs](d.vfs)
	*ours = *at[lib.Tsqlite3_vfs](d.base)
	ours.FpNext, ours.FzName = 0, name
	ours.FxOpen = pointer(d, d.open)
	ours.FxDelete = pointer(d, d.delete)
	if rc := lib.Xsqlite3_vfs_register(d.tls, d.vfs, 1); rc != lib.SQLITE_OK {
		return nil, fmt.Errorf("sqlite3_vfs_register: %d", rc)
	}
	return d, nil
}

// Remove takes the Disk away. Databases that were opened behind it must be closed.
func (d *Disk) Remove() error {
	rc := lib.Xsqlite3_vfs_unregister(d.tls, d.vfs) // and the system's is the first again
	if rc == lib.SQLITE_OK {
		rc = lib.Xsqlite3_vfs_register(d.tls, d.base, 1)
	}
	d.tls.Close()
	if rc != lib.SQLITE_OK {
		return fmt.Errorf("sqlite3_vfs_unregister: %d", rc)
	}
	return nil
}

// Fail starts counting at 0 and fails the call with that number.
func (d *Disk) Fail(call int, how Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next, d.fail, d.fault, d.hit = 0, call, how, ""
}

// Heal ends the failing. It returns what failed first, if the number was reached.
func (d *Disk) Heal() (call string, hit bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = -1
	return d.hit, d.hit != ""
}

// fails counts one call and reports whether it is to fail.
func (d *Disk) fails(what string) (Fault, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.next
	d.next++
	if d.fail < 0 || n < d.fail || n > d.fail && !d.fault.Stay {
		return Fault{}, false
	}
	if d.hit == "" {
		d.hit = fmt.Sprintf("call %d, %s", n, what)
	}
	return d.fault, true
}

func (d *Disk) counts(name string) bool { return strings.HasPrefix(name, d.dir) }

// at is the structure of SQLite's that lies at an address outside of Go's memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) } //nolint:gosec // as said

// pointer is a function as SQLite's code keeps it; d keeps it alive.
func pointer[T any](d *Disk, fn T) uintptr {
	d.keep = append(d.keep, fn)
	return *(*uintptr)(unsafe.Pointer(&struct{ fn T }{fn})) //nolint:gosec // a func value is a pointer
}

// call is the function behind such a pointer.
func call[T any](p uintptr) T { return *(*T)(unsafe.Pointer(&struct{ p uintptr }{p})) } //nolint:gosec // the same the other way round
