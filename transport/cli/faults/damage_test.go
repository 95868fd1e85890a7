package faults_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func trimmed(s string) string { return strings.TrimSuffix(s, "\n") }

// quietServer is an upstream that takes everything.
func quietServer(t *testing.T) string {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(api.Close)
	return api.URL
}

func openSQL(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// whole is what the vault answers undamaged. It is much, so that a damaged one
// does not pass by having nothing to say.
func (s *small) whole(t *testing.T) *facts {
	t.Helper()
	dir := privateDir(t)
	s.copyTo(t, dir)
	f, err := s.ask(t.Context(), dir)
	if err != nil || len(f.set) < 30 {
		t.Fatalf("%d answers of a whole vault, %v", len(f.set), err)
	}
	return f
}

func privateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// place is a folder where damaged copies are made, one after another.
type place struct {
	t     *testing.T
	dir   string
	s     *small
	whole *facts
	told  int // damaged copies
	quiet int // those that answered all the same
}

func newPlace(t *testing.T, s *small) *place {
	t.Helper()
	p := &place{t: t, dir: privateDir(t), s: s, whole: s.whole(t)}
	s.copyTo(t, p.dir)
	return p
}

// damaged puts a damaged file in the place of a good one and asks.
func (p *place) damaged(what, file string, text []byte) {
	p.t.Helper()
	path := filepath.Join(p.dir, file)
	for _, beside := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(p.dir, "vault.db") + beside)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.ask(what)
}

func (p *place) ask(what string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	f, err := p.s.ask(ctx, p.dir)
	p.told++
	if err == nil && len(f.set) == len(p.whole.set) {
		p.quiet++
	}
	for _, fact := range f.wrong(p.whole) {
		p.t.Errorf("%s: a wrong answer: %s", what, fact)
	}
	if ctx.Err() != nil {
		p.t.Errorf("%s: it hangs", what)
	}
}

func (p *place) good(file string) []byte {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.s.dir, file))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// stride is how far apart the bytes lie that are damaged in the plain suite: a
// prime, so that every kind of byte has its turn.
const stride = 1511

// TestDamage does to a small vault what a bad disk and a bad neighbour do. Each
// answer is the right one, or an error; nothing hangs and nothing panics.
func TestDamage(t *testing.T) {
	s := newSmall(t)
	for name, damage := range map[string]func(*testing.T, *place){
		"bytes flipped": flipBytes, "key and checkpoint flipped": flipSmallFiles, "files cut": cutFiles, "rows exchanged": exchangeRows,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			damage(t, newPlace(t, s))
		})
	}
}

// flipBytes flips bytes of the database: of the whole file with
// -faults.every, else a sample with the head of the file and of every page.
func flipBytes(t *testing.T, p *place) {
	t.Helper()
	good := p.good("vault.db")
	page := int(binary.BigEndian.Uint16(good[16:]))
	for i := range good {
		if !*every && i%stride != 0 && i >= 100 && i%page >= 8 {
			continue
		}
		masks := []byte{0xff, 1 << (i % 8)}
		if !*every { // one of them is enough of a sample
			masks = masks[i%2 : i%2+1]
		}
		for _, mask := range masks {
			good[i] ^= mask
			p.damaged(fmt.Sprintf("byte %d, mask %02x", i, mask), "vault.db", good)
			good[i] ^= mask
		}
	}
	t.Logf("%d bytes: %d flips, %d without a consequence", len(good), p.told, p.quiet)
	if p.quiet == p.told || p.told < 100 {
		t.Error("nothing was damaged")
	}
}

// flipSmallFiles flips each byte of the small files.
func flipSmallFiles(_ *testing.T, p *place) {
	for _, file := range []string{"key", "checkpoint"} {
		good := p.good(file)
		for i := range good {
			if !*every && i%5 != 0 {
				continue
			}
			good[i] ^= 0x04
			p.damaged(fmt.Sprintf("%s, byte %d", file, i), file, good)
			good[i] ^= 0x04
		}
		p.damaged(file+" whole", file, good)
	}
}

// cutFiles cuts each file at many lengths.
func cutFiles(_ *testing.T, p *place) {
	for _, file := range []string{"vault.db", "key", "checkpoint"} {
		good := p.good(file)
		step := max(1, len(good)/20)
		for n := 0; n < len(good); n += step {
			p.damaged(fmt.Sprintf("%s cut to %d bytes", file, n), file, good[:n])
		}
		p.damaged(file+" whole", file, good)
	}
}
