package audit_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// checkAlone checks a proof with golang.org/x/mod and nothing of ours, and
// returns the leaf.
func checkAlone(t *testing.T, text []byte, key note.Verifier) []byte {
	t.Helper()
	head, checkpoint, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		t.Fatalf("not a tlog-proof:\n%s", text)
	}
	leaf, err := base64.StdEncoding.DecodeString(lines[1][len("extra "):])
	if err != nil {
		t.Fatal(err)
	}
	index, err := strconv.ParseInt(lines[2][len("index "):], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, h)
	}
	size, root := openAlone(t, []byte(checkpoint), key)
	if err := tlog.CheckRecord(path, size, root, index, tlog.RecordHash(leaf)); err != nil {
		t.Fatalf("record %d of %d: %v", index, size, err)
	}
	return leaf
}

// openAlone reads a checkpoint with golang.org/x/mod and nothing of ours.
func openAlone(t *testing.T, checkpoint []byte, key note.Verifier) (size int64, root tlog.Hash) {
	t.Helper()
	n, err := note.Open(checkpoint, note.VerifierList(key))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(n.Text, "\n")
	size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = tlog.ParseHash(lines[2]); err != nil {
		t.Fatal(err)
	}
	return size, root
}

func TestAProofIsCheckedByOthers(t *testing.T) {
	s := open(t)
	total := int64(0)
	for _, more := range []int{1, 1, 1, 252, 1, 1, 43} { // sizes 1, 2, 3, 255, 256, 257, 300
		s.add(t, more)
		s.checkpoint(t)
		total += int64(more)
		for _, seq := range []int64{1, 2, 3, total / 2, 255, 256, 257, total} {
			if seq < 1 || seq > total {
				continue
			}
			p, err := s.log.Prove(t.Context(), s.DB, seq)
			if err != nil {
				t.Fatalf("record %d of %d: %v", seq, total, err)
			}
			leaf := checkAlone(t, p.Marshal(), s.key)
			record := s.tail(t, seq-1, 1)[0]
			if e, err := audit.Decode(leaf); err != nil || e != record.Entry {
				t.Errorf("record %d: another one is proven: %v", seq, err)
			}
			read, err := audit.ParseProof(p.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			if got, size, err := read.Check(s.key); err != nil || got != record || size != total {
				t.Errorf("record %d of %d: %+v of %d, %v", seq, total, got, size, err)
			}
		}
	}
}

func TestWhatCannotBeProven(t *testing.T) {
	s := open(t)
	s.add(t, 2)
	if _, err := s.log.Prove(t.Context(), s.DB, 1); !errors.Is(err, audit.ErrUnsealed) {
		t.Errorf("without a checkpoint: %v", err)
	}
	s.checkpoint(t)
	s.add(t, 1)
	for seq, want := range map[int64]error{-1: audit.ErrNoRecord, 0: audit.ErrNoRecord, 3: audit.ErrUnsealed, 4: audit.ErrNoRecord} {
		if _, err := s.log.Prove(t.Context(), s.DB, seq); !errors.Is(err, want) {
			t.Errorf("record %d: %v", seq, err)
		}
	}
	unsigned, _ := keyed(t)
	unsigned.add(t, 1)
	if _, err := unsigned.log.Prove(t.Context(), unsigned.DB, 1); !errors.Is(err, audit.ErrUnsealed) {
		t.Errorf("without a key: %v", err)
	}
}

func TestNothingTamperedIsProven(t *testing.T) {
	for name, change := range map[string]string{
		"record":     `UPDATE audit_leaves SET leaf = replace(leaf, 'handle.issued', 'handle.denied') WHERE seq = 2`,
		"tree":       `UPDATE audit_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0`,
		"tree cut":   `UPDATE audit_tiles SET hashes = substr(hashes, 1, 32) WHERE level = 0`,
		"checkpoint": `UPDATE audit_checkpoints SET note = replace(note, char(10) || '4' || char(10), char(10) || '3' || char(10))`,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.add(t, 4)
			s.checkpoint(t)
			s.update(t, func(tx *sqldb.Tx) error { _, err := tx.Exec(change); return err })
			var tampered *audit.TamperError
			if _, err := s.log.Prove(t.Context(), s.DB, 2); !errors.As(err, &tampered) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAProofCannotBeChanged changes each byte of a proof, and puts together
// parts of two.
func TestAProofCannotBeChanged(t *testing.T) {
	s := open(t)
	s.add(t, 5)
	s.checkpoint(t)
	p, err := s.log.Prove(t.Context(), s.DB, 2)
	if err != nil {
		t.Fatal(err)
	}
	text := p.Marshal()
	refused := func(what string, text []byte, key note.Verifier) {
		t.Helper()
		p, err := audit.ParseProof(text)
		if err == nil {
			_, _, err = p.Check(key)
		}
		if !errors.Is(err, audit.ErrProof) && !errors.Is(err, audit.ErrNotProven) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		refused("byte "+strconv.Itoa(i), changed, s.key)
		refused("cut at "+strconv.Itoa(i), text[:i], s.key)
	}
	refused("something more", append(bytes.Clone(text), 'x'), s.key)
	for _, index := range []string{"index 01", "index +1", "index  1", "index 1 ", "INDEX 1"} { // not canonical
		refused(index, bytes.Replace(text, []byte("index 1"), []byte(index), 1), s.key)
	}
	other := p
	other.Index = 2
	refused("another index", other.Marshal(), s.key)
	other.Index = 5
	refused("beyond the end", other.Marshal(), s.key)
	refused("another key", text, open(t).key)
	sealed := *s
	sealed.add(t, 1)
	sealed.checkpoint(t)
	later, err := sealed.log.Prove(t.Context(), s.DB, 2)
	if err != nil {
		t.Fatal(err)
	}
	other = p
	other.Checkpoint = later.Checkpoint
	refused("a later checkpoint", other.Marshal(), s.key)
}

// FuzzProof: what parses is canonical, and what is not canonical is refused.
func FuzzProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\n\nname\n1\nAAAA\n\n— name AAAA\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra \nindex 7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\nx"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra e30=\nindex +07\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := audit.ParseProof(text)
		if err != nil {
			if !errors.Is(err, audit.ErrProof) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(p.Marshal(), text) {
			t.Fatalf("%q is read as %q", text, p.Marshal())
		}
	})
}
