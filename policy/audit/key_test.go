package audit_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// sealer seals nothing but for its prefix, and fails while err is set.
type sealer struct {
	prefix string
	err    error
}

func (s *sealer) Seal(_ *sqldb.Tx, _ string, plain []byte) ([]byte, error) {
	return append([]byte(s.prefix), plain...), s.err
}

func (s *sealer) Unseal(_ *sqldb.Tx, _ string, sealed []byte) ([]byte, error) {
	return bytes.TrimPrefix(sealed, []byte(s.prefix)), s.err
}

// keyed is a log whose key is in its database.
func keyed(t *testing.T) (*state, *sealer) {
	t.Helper()
	s, with := open(t), &sealer{}
	s.useKey(with)
	return s, with
}

// useKey opens the key anew, as a new process would.
func (s *state) useKey(with *sealer) {
	key := audit.OpenKey(s.DB, "coatcheck.test/kept", with)
	s.log, s.key = audit.New(key, key), key
}

func TestAnErrorOfTheKeyIsNotKept(t *testing.T) {
	s, with := keyed(t)
	s.add(t, 1)
	s.checkpoint(t)
	with.err = errors.New("boom")
	s.useKey(with)
	if _, err := s.log.Checkpoint(t.Context(), s.DB, nil); !errors.Is(err, with.err) {
		t.Fatalf("got %v", err)
	}
	with.err = nil
	s.add(t, 1)
	s.fine(t, s.checkpoint(t), audit.Report{Records: 2, Sealed: 2, Anchored: 2})
	with.err = errors.New("boom") // the key is held by now
	s.add(t, 1)
	s.checkpoint(t)
}

func TestVerifyMakesNoKey(t *testing.T) {
	s, _ := keyed(t)
	s.add(t, 2)
	s.fine(t, nil, audit.Report{Records: 2, Unsealed: 2})
	if err := s.key.(*audit.Key).Check(); !errors.Is(err, audit.ErrNoKey) {
		t.Errorf("got %v", err)
	}
}

// TestALostKeyIsNotMadeAnew removes the key of a log that was signed, alone or
// with all that it signed.
func TestALostKeyIsNotMadeAnew(t *testing.T) {
	for name, tc := range map[string]struct {
		tables   []string
		unsigned bool // with no anchor either, nothing tells that it ever was signed
	}{
		"alone":            {[]string{"audit_keys"}, false},
		"with checkpoints": {[]string{"audit_keys", "audit_checkpoints"}, false},
		"with all":         {[]string{"audit_keys", "audit_checkpoints", "audit_tiles", "audit_leaves"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, with := keyed(t)
			s.add(t, 3)
			anchor := s.checkpoint(t)
			s.update(t, func(tx *sqldb.Tx) error {
				for _, table := range tc.tables {
					if err := run(tx, "DELETE FROM "+table); err != nil {
						return err
					}
				}
				return nil
			})
			s.useKey(with)
			s.add(t, 3)
			s.refuses(t, anchor, "its signing key is gone")
			s.expect(t, anchor, 0, 0, "its signing key is gone")
			if !tc.unsigned {
				s.refuses(t, nil, "its signing key is gone")
				return
			}
			s.refuses(t, anchor, "its signing key is gone") // also the next time
			s.checkpoint(t)
		})
	}
}

// TestReseal: every kept key goes through reseal, and what comes back is kept.
func TestReseal(t *testing.T) {
	s, with := keyed(t)
	s.add(t, 1)
	anchor := s.checkpoint(t)
	var seen []string
	s.update(t, func(tx *sqldb.Tx) error {
		return audit.Reseal(tx, func(purpose string, sealed []byte) ([]byte, error) {
			seen = append(seen, purpose)
			return append([]byte("anew:"), sealed...), nil
		})
	})
	if len(seen) != 1 || seen[0] != "audit signing key" {
		t.Errorf("resealed %q", seen)
	}
	with.prefix = "anew:"
	s.useKey(with)
	s.add(t, 1)
	s.fine(t, s.checkpoint(t), audit.Report{Records: 2, Sealed: 2, Anchored: 2})
	if anchor == nil {
		t.Error("nothing was signed")
	}
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx *sqldb.Tx) error {
		return audit.Reseal(tx, func(string, []byte) ([]byte, error) { return nil, boom })
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}
