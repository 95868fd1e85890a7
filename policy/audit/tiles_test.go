package audit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// folder is an exported log as golang.org/x/mod reads it.
type folder map[string][]byte

func (folder) Height() int                       { return 8 }
func (folder) SaveTiles([]tlog.Tile, [][]byte)   {}
func (f folder) read(path string) ([]byte, bool) { b, ok := f[path]; return b, ok }

func (f folder) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1) // C2SP leaves the height out
		data, ok := f.read(path)
		if !ok {
			return nil, fmt.Errorf("no file %s", path)
		}
		out = append(out, data)
	}
	return out, nil
}

// entries returns the records of one bundle.
func (f folder) entries(t *testing.T, n, size int64) (list [][]byte) {
	t.Helper()
	tile := tlog.Tile{H: 8, L: 0, N: n, W: int(min(256, size-n*256))}
	path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	data, ok := f.read(path)
	if !ok {
		t.Fatalf("no file %s", path)
	}
	for len(data) > 0 {
		length := int(binary.BigEndian.Uint16(data))
		list = append(list, data[2:2+length])
		data = data[2+length:]
	}
	return list
}

func (s *state) export(t *testing.T) (folder, int64, error) {
	t.Helper()
	f := folder{}
	n, err := s.log.Export(t.Context(), s.DB, func(name string, data []byte) error {
		if _, twice := f[name]; twice {
			t.Errorf("%s twice", name)
		}
		f[name] = bytes.Clone(data)
		return nil
	})
	return f, n, err
}

// TestAnExportIsCheckedByOthers checks every record and every tile of exported
// logs with golang.org/x/mod and nothing of ours.
func TestAnExportIsCheckedByOthers(t *testing.T) {
	s := open(t)
	size := int64(0)
	for _, until := range []int64{1, 2, 255, 256, 257, 511, 512, 700, 66_000 / scale} {
		s.add(t, int(until-size))
		s.checkpoint(t)
		size = until
		s.add(t, 1) // not covered, and not exported
		size++
		f, n, err := s.export(t)
		if err != nil || n != until {
			t.Fatalf("%d: %d records, %v", until, n, err)
		}
		covered, root := openAlone(t, f["checkpoint"], s.key)
		reader := tlog.TileHashReader(tlog.Tree{N: covered, Hash: root}, f)
		if got, err := tlog.TreeHash(covered, reader); err != nil || got != root || covered != until {
			t.Fatalf("%d: root of %d: %v", until, covered, err)
		}
		records := int64(0)
		for bundle := int64(0); records < covered; bundle++ {
			var at []int64
			list := f.entries(t, bundle, covered)
			for i := range list {
				at = append(at, tlog.StoredHashIndex(0, records+int64(i)))
			}
			hashes, err := reader.ReadHashes(at)
			if err != nil {
				t.Fatal(err)
			}
			for i, leaf := range list {
				if hashes[i] != tlog.RecordHash(leaf) {
					t.Fatalf("%d: record %d is not the one that was hashed", until, records+int64(i)+1)
				}
			}
			records += int64(len(list))
		}
		if want := files(covered); records != covered || len(f) != want {
			t.Errorf("%d: %d records in %d files, want %d files", until, records, len(f), want)
		}
	}
}

// files is how many files a log of that size has.
func files(size int64) int {
	n := 1 + int((size+255)/256)
	for entries := size; entries > 0; entries >>= 8 {
		n += int((entries + 255) / 256)
	}
	return n
}

func TestTileNames(t *testing.T) {
	for n, want := range map[int64]string{0: "000", 7: "007", 999: "999", 1000: "x001/000", 1234067: "x001/x234/067"} {
		if got := audit.TileName(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestWhatCannotBeExported(t *testing.T) {
	s := open(t)
	if _, _, err := s.export(t); !errors.Is(err, audit.ErrUnsealed) {
		t.Errorf("an empty log: %v", err)
	}
	s.add(t, 3)
	s.checkpoint(t)
	full := errors.New("disk full")
	if _, err := s.log.Export(t.Context(), s.DB, func(string, []byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("put fails: %v", err)
	}
	for name, change := range map[string]string{
		"record gone": `DELETE FROM audit_leaves WHERE seq = 2`, "last record gone": `DELETE FROM audit_leaves WHERE seq = 3`,
		"tile cut": `UPDATE audit_tiles SET hashes = substr(hashes, 1, 32)`,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.add(t, 3)
			s.checkpoint(t)
			s.update(t, func(tx *sqldb.Tx) error { _, err := tx.Exec(change); return err })
			f, _, err := s.export(t)
			var tampered *audit.TamperError
			if !errors.As(err, &tampered) || f["checkpoint"] != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}
