package audit_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// reference is the same tree built by the tlog package alone.
type reference struct{ hashes []tlog.Hash }

func (r *reference) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, r.hashes[i])
	}
	return out, nil
}

func (r *reference) add(tb testing.TB, n int64, leaf []byte) {
	tb.Helper()
	hashes, err := tlog.StoredHashes(n, leaf, r)
	if err != nil {
		tb.Fatal(err)
	}
	r.hashes = append(r.hashes, hashes...)
}

func (r *reference) root(tb testing.TB, n int64) tlog.Hash {
	tb.Helper()
	root, err := tlog.TreeHash(n, r)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

func leafOf(tb testing.TB, e audit.Entry) []byte {
	tb.Helper()
	leaf, err := audit.Encode(e)
	if err != nil {
		tb.Fatal(err)
	}
	return leaf
}

// tiles reads the stored tiles as any tlog client would.
type tiles struct {
	t testing.TB
	s *state
}

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tiles) ReadTiles(want []tlog.Tile) (data [][]byte, err error) {
	err = r.s.View(r.t.Context(), func(tx *sqldb.Tx) error {
		for _, tile := range want {
			var hashes []byte
			if err := tx.QueryRow("SELECT hashes FROM audit_tiles WHERE level = ? AND tile = ?", tile.L, tile.N).Scan(&hashes); err != nil {
				return fmt.Errorf("%v: %w", tile, err)
			}
			data = append(data, hashes[:tile.W*tlog.HashSize])
		}
		return nil
	})
	return data, err
}

// TestTreeIsThatOfTlog grows one log in uneven steps across the borders of
// tiles and holds roots, notes, tiles and proofs against tlog's own.
func TestTreeIsThatOfTlog(t *testing.T) {
	s := open(t)
	var ref reference
	size := int64(0)
	for _, step := range []int{1, 1, 1, 2, 3, 120, 127, 1, 1, 254, 1, 1, 300, 255, 2} {
		for i := range step {
			ref.add(t, size+int64(i), leafOf(t, entry(int(size)+i)))
		}
		s.add(t, step)
		size += int64(step)
		signed := s.checkpoint(t)
		root := ref.root(t, size)

		opened, err := note.Open(signed, note.VerifierList(s.key))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("coatcheck.test/log\n%d\n%s\n", size, base64.StdEncoding.EncodeToString(root[:])); opened.Text != want {
			t.Fatalf("checkpoint\n%s\nwant\n%s", opened.Text, want)
		}
		if again := s.checkpoint(t); !bytes.Equal(again, signed) {
			t.Error("a checkpoint over the same records differs")
		}
		for _, tile := range tlog.NewTiles(8, 0, size) {
			want, err := tlog.ReadTileData(tile, &ref)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := (tiles{t, s}).ReadTiles([]tlog.Tile{tile}); err != nil || !bytes.Equal(got[0], want) {
				t.Fatalf("tile %v at size %d differs (%v)", tile, size, err)
			}
		}
		reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles{t, s})
		for _, n := range []int64{0, size / 2, size - 1} {
			proof, err := tlog.ProveRecord(size, n, reader)
			if err != nil {
				t.Fatal(err)
			}
			leaf := leafOf(t, s.tail(t, n, 1)[0].Entry)
			if err := tlog.CheckRecord(proof, size, root, n, tlog.RecordHash(leaf)); err != nil {
				t.Errorf("record %d of %d: %v", n+1, size, err)
			}
		}
		if report, err := audit.Verify(t.Context(), s.DB, s.key, signed); err != nil || report.Sealed != size {
			t.Fatalf("%+v %v", report, err)
		}
	}
}

func TestCheckpointOfAnEmptyLog(t *testing.T) {
	s := open(t)
	anchor := s.checkpoint(t)
	if !strings.Contains(string(anchor), "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n") {
		t.Errorf("got %s", anchor)
	}
	if report, err := audit.Verify(t.Context(), s.DB, s.key, anchor); err != nil || report != (audit.Report{}) {
		t.Errorf("%+v %v", report, err)
	}
	s.add(t, 3)
	if report, err := audit.Verify(t.Context(), s.DB, s.key, anchor); err != nil || report != (audit.Report{Records: 3, Unsealed: 3}) {
		t.Errorf("%+v %v", report, err)
	}
}

// TestManyRecordsAreSealedInSteps seals more than one step takes in.
func TestManyRecordsAreSealedInSteps(t *testing.T) {
	s := open(t)
	const n = 1<<14 + 1000
	s.update(t, func(tx *sqldb.Tx) error {
		return run(tx, fmt.Sprintf(`INSERT INTO audit_leaves (seq, leaf)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, 'leaf ' || i FROM n`, n))
	})
	anchor := s.checkpoint(t)
	s.fine(t, anchor, audit.Report{Records: n, Sealed: n, Anchored: n})
}
