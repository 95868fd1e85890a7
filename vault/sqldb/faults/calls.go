package faults

import (
	"path/filepath"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// The functions of a file system and of an open file that are counted
// (sqlite3_vfs and sqlite3_io_methods in sqlite.org/c3ref).
type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	shmMapFunc   = func(tls *libc.TLS, file uintptr, region, size, extend int32, out uintptr) int32
)

// open lets the system open the file and then puts our methods in front of its own.
func (d *Disk) open(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	path := ""
	if name != 0 {
		path = libc.GoString(name)
	}
	counted := d.counts(path)
	if counted && flags&lib.SQLITE_OPEN_CREATE != 0 {
		if _, fails := d.fails("open " + filepath.Base(path)); fails {
			at[lib.Tsqlite3_file](file).FpMethods = 0
			return lib.SQLITE_CANTOPEN
		}
	}
	rc := call[openFunc](at[lib.Tsqlite3_vfs](d.base).FxOpen)(tls, d.base, name, file, flags, outFlags)
	if f := at[lib.Tsqlite3_file](file); rc == lib.SQLITE_OK && counted && f.FpMethods != 0 {
		f.FpMethods = d.methods(f.FpMethods)
	}
	return rc
}

// methods returns our table for one of the system's.
func (d *Disk) methods(system uintptr) uintptr {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ours, ok := d.tables[system]; ok {
		return ours
	}
	ours := lib.Xsqlite3_malloc(d.tls, int32(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	table := at[lib.Tsqlite3_io_methods](ours)
	*table = *at[lib.Tsqlite3_io_methods](system)
	table.FxWrite = pointer(d, d.write)
	table.FxTruncate = pointer(d, d.truncate)
	table.FxSync = pointer(d, d.sync)
	if table.FxShmMap != 0 {
		table.FxShmMap = pointer(d, d.shmMap)
	}
	d.tables[system], d.real[ours] = ours, system
	return ours
}

// system is the table of the system's own methods of a file.
func (d *Disk) system(file uintptr) *lib.Tsqlite3_io_methods {
	d.mu.Lock()
	defer d.mu.Unlock()
	return at[lib.Tsqlite3_io_methods](d.real[at[lib.Tsqlite3_file](file).FpMethods])
}

func (d *Disk) delete(tls *libc.TLS, _, name uintptr, syncDir int32) int32 {
	if path := libc.GoString(name); d.counts(path) {
		if _, fails := d.fails("delete " + filepath.Base(path)); fails {
			return lib.SQLITE_IOERR_DELETE
		}
	}
	return call[deleteFunc](at[lib.Tsqlite3_vfs](d.base).FxDelete)(tls, d.base, name, syncDir)
}

func (d *Disk) write(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	fault, fails := d.fails("write")
	system := call[writeFunc](d.system(file).FxWrite)
	if !fails {
		return system(tls, file, data, size, offset)
	}
	system(tls, file, data, size/2, offset)
	if fault.Full {
		return lib.SQLITE_FULL
	}
	return lib.SQLITE_IOERR_WRITE
}

func (d *Disk) truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if _, fails := d.fails("truncate"); fails {
		return lib.SQLITE_IOERR_TRUNCATE
	}
	return call[truncateFunc](d.system(file).FxTruncate)(tls, file, size)
}

func (d *Disk) sync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if _, fails := d.fails("sync"); fails {
		return lib.SQLITE_IOERR_FSYNC
	}
	return call[syncFunc](d.system(file).FxSync)(tls, file, flags)
}

func (d *Disk) shmMap(tls *libc.TLS, file uintptr, region, size, extend int32, out uintptr) int32 {
	if extend != 0 {
		if fault, fails := d.fails("map the log's index"); fails {
			*at[uintptr](out) = 0
			if fault.Full {
				return lib.SQLITE_FULL
			}
			return lib.SQLITE_IOERR_SHMSIZE
		}
	}
	return call[shmMapFunc](d.system(file).FxShmMap)(tls, file, region, size, extend, out)
}
