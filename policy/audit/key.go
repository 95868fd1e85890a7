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

// ErrNoKey means that the log's signing key has not been made yet, or was
// removed. [Log.Checkpoint] makes one for a log that was never signed.
var ErrNoKey = errors.New("the log has no signing key")

// Key is the log's key pair, kept sealed in the database. It is both the
// [note.Signer] and the [note.Verifier] that [New] takes. Nothing is read before
// the first checkpoint or verification, so that a start does not pay for it;
// what could not be read is tried again the next time. It is safe for
// concurrent use.
type Key struct {
	db     *sqldb.DB
	origin string
	sealer Sealer

	mu     sync.Mutex
	loaded *pair // nil before the first success
}

type pair struct {
	note.Signer
	verifier note.Verifier
}

// OpenKey returns the key pair of the log called origin (no spaces, no "+").
func OpenKey(db *sqldb.DB, origin string, sealer Sealer) *Key {
	return &Key{db: db, origin: origin, sealer: sealer}
}

// Check loads the key and reports what keeps it from being used. Errors:
// [ErrNoKey], those of the sealer and the database.
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

// load returns the pair and keeps it; a failure is not kept.
func (k *Key) load() (*pair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loaded != nil {
		return k.loaded, nil
	}
	var sealed []byte
	err := k.db.View(context.Background(), func(tx *sqldb.Tx) error { return k.read(tx, &sealed) })
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	p, err := openPair(k.sealer, sealed)
	if err == nil {
		k.loaded = p
	}
	return p, err
}

func (k *Key) read(tx *sqldb.Tx, sealed *[]byte) error {
	return tx.QueryRow("SELECT sealed FROM audit_keys WHERE origin = ?", k.origin).Scan(sealed)
}

// create makes the key of a log that was never signed; another process may be
// faster. A log that was signed has lost its key: *[TamperError].
func (k *Key) create(ctx context.Context) error {
	return k.db.Update(ctx, func(tx *sqldb.Tx) error {
		var signed int
		if err := k.read(tx, new([]byte)); !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		if err := tx.QueryRow(`SELECT count(*) FROM (SELECT size FROM audit_checkpoints
			UNION ALL SELECT tile FROM audit_tiles LIMIT 1) AS signed`).Scan(&signed); err != nil {
			return err
		}
		if signed > 0 {
			return &TamperError{What: keyGone}
		}
		return makeKey(tx, k.origin, k.sealer)
	})
}

func openPair(sealer Sealer, sealed []byte) (*pair, error) {
	plain, err := sealer.Unseal(keyPurpose, sealed)
	if err != nil {
		return nil, err
	}
	skey, vkey, _ := strings.Cut(string(plain), "\n")
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, errors.New("the log's signing key is damaged") // note's text could quote the key
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, errors.New("the log's public key is damaged")
	}
	return &pair{signer, verifier}, nil
}

// makeKey stores a new pair, both halves sealed: a public half that could be
// exchanged would verify another log.
func makeKey(tx *sqldb.Tx, origin string, sealer Sealer) error {
	skey, vkey, err := NewKey(origin)
	if err != nil {
		return fmt.Errorf("make the log's key: %w", err)
	}
	sealed, err := sealer.Seal(keyPurpose, []byte(skey+"\n"+vkey))
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO audit_keys (origin, sealed) VALUES (?, ?)", origin, sealed)
	return err
}
