package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"golang.org/x/crypto/argon2"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// passphrase is a [KeySource] that makes its key from words, with Argon2id
// (RFC 9106). Sealed text is a header of 41 bytes, a 12-byte nonce, the
// ciphertext and a 16-byte tag; the header is authenticated with the rest:
//
//	16  "coatcheck-pass-1"
//	 4  memory in KiB, big-endian
//	 4  passes, big-endian
//	 1  lanes
//	16  salt
//
// The words are UTF-8 in normal form C (Unicode UAX #15), so that a letter with
// its accent counts the same whichever keyboard made it. One line break at the
// end is not part of them; any other control character is refused.
//
// Once it has opened or sealed something it keeps the key, and seals with the
// same salt again: a process that runs on can then open a keyset that was sealed
// anew with the same words, and nobody is asked twice.
type passphrase struct {
	path string // of the file; "": fd, or ask
	fd   int    // 0: ask
	ask  func(ctx context.Context, prompt string) ([]byte, error)

	cost  argonCost // of a new header
	floor argonCost // the least that is accepted

	mu     sync.Mutex
	header []byte // what key was made with; nil: there is no key yet
	key    []byte
	spent  bool // the descriptor was read
}

type argonCost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

// usualCost is the second recommendation of RFC 9106, section 4. Nothing weaker
// is accepted: a header is in the database, whose writer could otherwise have
// the next passphrase hashed cheaply.
var usualCost = argonCost{memory: 64 << 10, passes: 3, lanes: 4}

// A header may ask for this much at most: who writes the database must not be
// able to take all memory of the machine.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 10
)

const (
	saltBytes       = 16
	headerBytes     = len(passphraseMark) + 4 + 4 + 1 + saltBytes
	minPassphrase   = 12 // characters, when it is set
	maxPassphrase   = 1024
	passphraseTries = 3
)

// String returns the URI.
func (p *passphrase) String() string {
	switch {
	case p.path != "":
		return "passphrase:" + FileURI(p.path)
	case p.fd != 0:
		return fmt.Sprintf("passphrase:fd:%d", p.fd)
	default:
		return "passphrase:"
	}
}

// Seal implements [KeySource]. The first time it asks for the words twice.
func (p *passphrase) Seal(ctx context.Context, plain, aad []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == nil {
		words, err := p.set(ctx)
		if err != nil {
			return nil, err
		}
		defer clear(words)
		header, err := p.newHeader()
		if err != nil {
			return nil, err
		}
		p.header, p.key = header, derive(words, header)
	}
	a, err := subtle.NewAESGCM(p.key)
	if err != nil {
		return nil, err
	}
	box, err := a.Encrypt(plain, append(bytes.Clone(p.header), aad...))
	return append(bytes.Clone(p.header), box...), err
}

// Open implements [KeySource].
func (p *passphrase) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	if !bytes.HasPrefix(sealed, []byte(passphraseMark)) {
		return nil, notMine(p, sealed)
	}
	header, err := p.checkHeader(sealed)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Equal(p.header, header) {
		return p.open(p.key, sealed, aad)
	}
	if p.key != nil && p.path == "" { // nobody is asked again, and a descriptor ends
		return nil, fmt.Errorf("%w: it was sealed with another passphrase since", vault.ErrKeyWrong)
	}
	for try := 1; ; try++ {
		words, err := p.words(ctx, try)
		if err != nil {
			return nil, err
		}
		key := derive(words, header)
		clear(words)
		plain, err := p.open(key, sealed, aad)
		if err == nil {
			p.header, p.key = header, key
			return plain, nil
		}
		if p.path != "" || p.fd != 0 || try == passphraseTries {
			return nil, err
		}
	}
}

func (p *passphrase) open(key, sealed, aad []byte) ([]byte, error) {
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, err
	}
	plain, err := a.Decrypt(sealed[headerBytes:], append(bytes.Clone(sealed[:headerBytes]), aad...))
	if err != nil {
		return nil, fmt.Errorf("%w: the passphrase is not the one it was sealed with; without it the secrets cannot be read", vault.ErrKeyWrong)
	}
	return plain, nil
}

func (p *passphrase) newHeader() ([]byte, error) {
	h := append([]byte(nil), passphraseMark...)
	h = binary.BigEndian.AppendUint32(h, p.cost.memory)
	h = binary.BigEndian.AppendUint32(h, p.cost.passes)
	h = append(h, p.cost.lanes)
	salt := make([]byte, saltBytes)
	_, err := rand.Read(salt)
	return append(h, salt...), err
}

// checkHeader returns the header of what this program could have sealed; any
// other is refused before memory is spent on it.
func (p *passphrase) checkHeader(sealed []byte) ([]byte, error) {
	if len(sealed) < headerBytes {
		return nil, fmt.Errorf("%w: the keyset is cut short", vault.ErrCorrupt)
	}
	header := sealed[:headerBytes]
	c := costOf(header)
	if c.memory < p.floor.memory || c.passes < p.floor.passes || c.lanes != p.floor.lanes {
		return nil, fmt.Errorf("%w: the keyset asks for a weaker protection of the passphrase than there ever was", vault.ErrCorrupt)
	}
	if c.memory > maxMemory || c.passes > maxPasses {
		return nil, fmt.Errorf("%w: the keyset asks for more memory or time than it can need", vault.ErrCorrupt)
	}
	return header, nil
}

func costOf(header []byte) (c argonCost) {
	at := header[len(passphraseMark):]
	c.memory, c.passes, c.lanes = binary.BigEndian.Uint32(at), binary.BigEndian.Uint32(at[4:]), at[8]
	return c
}

func derive(words, header []byte) []byte {
	c := costOf(header)
	key := argon2.IDKey(words, header[headerBytes-saltBytes:], c.passes, c.memory, c.lanes, keyBytes)
	debug.FreeOSMemory() // once in the life of a process, and else its memory stays large
	return key
}
