package identity

import (
	"errors"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Sponsors are the ids of the admins who had in their hands what the one with this
// [Principal.ID] asks with: the admin who registered an agent, and of a token also
// the one who issued it. None for the owner's agents, for admins, and for who is
// not known any more; a revoked one keeps its own. An admin who was registered anew
// is the same sponsor: a key is replaced that way. Error: [vault.ErrCorrupt].
func (s *Store) Sponsors(tx *sqldb.Tx, id string) (admins []string, err error) {
	kind, name, _ := strings.Cut(id, ":")
	switch Kind(kind) {
	case Agent:
	case ScopedToken:
		var token string
		if name, token, _ = strings.Cut(name, "/"); token == "" {
			return nil, nil
		}
		t, err := s.Token(tx, token)
		switch {
		case errors.Is(err, ErrUnknownToken):
		case err != nil:
			return nil, err
		case t.Issuer != "":
			admins = append(admins, t.Issuer)
		}
	case Owner, Admin:
		return nil, nil
	}
	e, err := s.agents.load(tx, name)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		err = nil
	case err == nil && e.registrar != "":
		admins = append(admins, e.registrar)
	}
	return admins, err
}
