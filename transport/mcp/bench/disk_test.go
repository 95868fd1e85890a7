package bench_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// logged returns how many bytes of SQLite's log one call takes, made one after the
// other: the log of a program that has just been started is empty, and grows by
// its frames until it is folded, a thousand pages later.
func logged(b *testing.B, ours program, home string) int {
	b.Helper()
	const some = 100
	c, _ := start(b, ours)
	defer c.stop()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(home, "vault.db-wal"))
		if err != nil {
			b.Fatal(err)
		}
		return info.Size()
	}
	c.one(some) // also fills what the ring of handles has to give way to
	before := size()
	c.one(some)
	n := int(size()-before) / some
	if n <= 0 {
		b.Fatalf("the log grew by %d bytes a call", n)
	}
	return n
}

// disk writes over what a file on the home's disk has already and waits until
// that is durable, as a commit does at the least.
type disk struct {
	file  *os.File
	bytes []byte
	at    int64
}

// diskLog is the size of the file: SQLite's log here is as large once it is folded.
const diskLog = 8 << 20

func openDisk(b *testing.B, dir string, size int) *disk {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		b.Fatal(err)
	}
	d := &disk{file: f, bytes: make([]byte, size)}
	if _, err = f.Write(make([]byte, diskLog)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// commits returns the median of so many.
func (d *disk) commits(b *testing.B, times int) time.Duration {
	b.Helper()
	took := make([]time.Duration, times)
	for i := range took {
		if d.at+int64(len(d.bytes)) > diskLog {
			d.at = 0
		}
		began := time.Now()
		_, err := d.file.WriteAt(d.bytes, d.at)
		if err == nil {
			err = d.file.Sync()
		}
		if err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(began)
		d.at += int64(len(d.bytes))
	}
	return median(took)
}

func (d *disk) close(b *testing.B) {
	b.Helper()
	if err := d.file.Close(); err != nil {
		b.Error(err)
	}
}
