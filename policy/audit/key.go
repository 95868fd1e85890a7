package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Sealer closes what a store keeps in the database and opens it again, in the
// transaction that stores or reads it.
type Sealer interface {
	Seal(tx *sqldb.Tx, purpose string, plain []byte) ([]byte, error)
	Unseal(tx *sqldb.Tx, purpose string, sealed []byte) ([]byte, error)
}

// keyPurpose binds the sealed signing key to its use.
const keyPurpose = "audit signing key"

// ErrNoRowKey means that the key which authenticates rows has not been made yet:
// the log has no key at all, or one from before rows were authenticated.
// [Key.MakeRowKey] makes it.
var ErrNoRowKey = errors.New("the rows have no key")

// ErrNoKey means that the log's signing key has not been made yet, or was
// removed. [Log.Checkpoint] makes one for a log that was never signed.
var ErrNoKey = errors.New("the log has no signing key")

// Key is the log's key pair, kept sealed in the database, and with it the key
// that authenticates the rows of agents, handles and the clock. It is both the
// [note.Signer] and the [note.Verifier] that [New] takes. What could not be read
// is tried again the next time. It is safe for concurrent use.
//
// What is sealed is text, lines parted by "\n":
//
//	the signer's key, as [note.NewSigner] reads it
//	the verifier's key, as [note.NewVerifier] reads it
//	the row key, 64 hex digits; absent in a log from before there was one
//
// Choice: one sealed text. Who could take the row key away alone could make a
// vault look as if its rows had never been authenticated, and have rows of his
// own adopted; without the log's key nothing opens that has a checkpoint.
type Key struct {
	db     *sqldb.DB
	origin string
	sealer Sealer

	mu   sync.Mutex
	text []string // the lines; nil before the first success
	pair *pair    // nil before it is needed
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
	if k.pair != nil {
		return k.pair, nil
	}
	text, err := k.lines(context.Background())
	if err == nil {
		k.pair, err = openPair(text)
	}
	return k.pair, err
}

// lines returns what is sealed and keeps it. k.mu is held.
func (k *Key) lines(ctx context.Context) ([]string, error) {
	if k.text != nil {
		return k.text, nil
	}
	err := k.db.View(ctx, func(tx *sqldb.Tx) error {
		var sealed []byte
		err := k.read(tx, &sealed)
		if err == nil {
			k.text, err = k.unseal(tx, sealed)
		}
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, ErrNoKey
	}
	return k.text, err
}

func (k *Key) unseal(tx *sqldb.Tx, sealed []byte) ([]string, error) {
	plain, err := k.sealer.Unseal(tx, keyPurpose, sealed)
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	return strings.Split(string(plain), "\n"), nil
}

func (k *Key) read(tx *sqldb.Tx, sealed *[]byte) error {
	return tx.QueryRow("SELECT sealed FROM audit_keys WHERE origin = ?", k.origin).Scan(sealed)
}

// create makes the key of a log that was never signed; another process may be
// faster. A log that was signed has lost its key: *[TamperError].
func (k *Key) create(ctx context.Context) error {
	return k.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := k.read(tx, new([]byte)); !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		_, err := k.make(tx)
		return err
	})
}

// make stores a new text for a log that was never signed.
func (k *Key) make(tx *sqldb.Tx) ([]string, error) {
	var signed int
	if err := tx.QueryRow(`SELECT count(*) FROM (SELECT size FROM audit_checkpoints
		UNION ALL SELECT tile FROM audit_tiles LIMIT 1) AS signed`).Scan(&signed); err != nil {
		return nil, err
	}
	if signed > 0 {
		return nil, &TamperError{What: keyGone}
	}
	skey, vkey, err := NewKey(k.origin)
	if err != nil {
		return nil, fmt.Errorf("make the log's key: %w", err)
	}
	return k.store(tx, skey, vkey)
}

// store seals two lines and a new row key. Both halves are sealed: a public
// half that could be exchanged would verify another log.
func (k *Key) store(tx *sqldb.Tx, skey, vkey string) ([]string, error) {
	var row [rowmac.KeySize]byte
	if _, err := rand.Read(row[:]); err != nil {
		return nil, err
	}
	text := []string{skey, vkey, hex.EncodeToString(row[:])}
	sealed, err := k.sealer.Seal(tx, keyPurpose, []byte(strings.Join(text, "\n")))
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec("INSERT INTO audit_keys (origin, sealed) VALUES (?, ?) ON CONFLICT (origin) DO UPDATE SET sealed = excluded.sealed",
		k.origin, sealed)
	return text, err
}

func openPair(text []string) (*pair, error) {
	if len(text) < 2 {
		return nil, errors.New("the log's key is damaged")
	}
	signer, err := note.NewSigner(text[0])
	if err != nil {
		return nil, errors.New("the log's signing key is damaged") // note's text could quote the key
	}
	verifier, err := note.NewVerifier(text[1])
	if err != nil {
		return nil, errors.New("the log's public key is damaged")
	}
	return &pair{signer, verifier}, nil
}
