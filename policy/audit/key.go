package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Sealer closes what a store keeps in the database and opens it again.
type Sealer interface {
	Seal(purpose string, plain []byte) ([]byte, error)
	Unseal(purpose string, sealed []byte) ([]byte, error)
}

// keyPurpose binds the sealed signing key to its use.
const keyPurpose = "audit signing key"

// Key is the log's key pair, kept sealed in the database and made on first
// need. It is both the [note.Signer] and the [note.Verifier] that [New] takes.
// Nothing is read before the first checkpoint or verification, so that a start
// does not pay for it. It is safe for concurrent use.
type Key struct {
	origin string
	load   func() (pair, error)
}

type pair struct {
	note.Signer
	verifier note.Verifier
}

// OpenKey returns the key pair of the log called origin (no spaces, no "+").
func OpenKey(db *sqldb.DB, origin string, sealer Sealer) *Key {
	return &Key{origin: origin, load: sync.OnceValues(func() (pair, error) { return loadKey(db, origin, sealer) })}
}

// Check loads the key and reports what keeps it from being used.
func (k *Key) Check() error {
	_, err := k.load()
	return err
}

// Name returns the origin.
func (k *Key) Name() string { return k.origin }

// KeyHash returns the hash that names the key in a note, 0 when there is none.
func (k *Key) KeyHash() uint32 {
	p, err := k.load()
	if err != nil {
		return 0
	}
	return p.KeyHash()
}

// Sign signs msg.
func (k *Key) Sign(msg []byte) ([]byte, error) {
	p, err := k.load()
	if err != nil {
		return nil, err
	}
	return p.Sign(msg)
}

// Verify reports whether sig is this key's signature of msg.
func (k *Key) Verify(msg, sig []byte) bool {
	p, err := k.load()
	return err == nil && p.verifier.Verify(msg, sig)
}

func loadKey(db *sqldb.DB, origin string, sealer Sealer) (pair, error) {
	ctx := context.Background()
	var sealed []byte
	read := func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT sealed FROM audit_keys WHERE origin = ?", origin).Scan(&sealed)
	}
	err := db.View(ctx, read)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = db.Update(ctx, func(tx *sqldb.Tx) error {
			if err := read(tx); !errors.Is(err, sqldb.ErrNoRows) {
				return err // another process was first
			}
			sealed, err = makeKey(tx, origin, sealer)
			return err
		})
	}
	if err != nil {
		return pair{}, err
	}
	plain, err := sealer.Unseal(keyPurpose, sealed)
	if err != nil {
		return pair{}, err
	}
	skey, vkey, _ := strings.Cut(string(plain), "\n")
	signer, err := note.NewSigner(skey)
	if err != nil {
		return pair{}, errors.New("the log's signing key is damaged") // note's text could quote the key
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return pair{}, errors.New("the log's public key is damaged")
	}
	return pair{signer, verifier}, nil
}

// makeKey stores a new pair, both halves sealed: a public half that could be
// exchanged would verify another log.
func makeKey(tx *sqldb.Tx, origin string, sealer Sealer) (sealed []byte, err error) {
	skey, vkey, err := NewKey(origin)
	if err != nil {
		return nil, fmt.Errorf("make the log's key: %w", err)
	}
	if sealed, err = sealer.Seal(keyPurpose, []byte(skey+"\n"+vkey)); err != nil {
		return nil, err
	}
	_, err = tx.Exec("INSERT INTO audit_keys (origin, sealed) VALUES (?, ?)", origin, sealed)
	return sealed, err
}
