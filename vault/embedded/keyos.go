package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/zalando/go-keyring"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// OSKeyring is a keyring of the system, as github.com/zalando/go-keyring has it:
// the Keychain of macOS, the Credential Manager of Windows, the Secret Service
// elsewhere. Get of what is not there is [keyring.ErrNotFound].
type OSKeyring interface {
	Get(service, account string) (string, error)
	Set(service, account, text string) error
}

// systemKeyring is the one of this machine. There is no standard library for
// three systems' keyrings, and this one needs no C.
type systemKeyring struct{}

func (systemKeyring) Get(service, account string) (string, error) {
	return keyring.Get(service, account)
}

func (systemKeyring) Set(service, account, text string) error {
	return keyring.Set(service, account, text)
}

const (
	keyringService = "coatcheck"
	keyringAccount = "vault" // of "keyring:"
	// keyringWait is how long a person has to unlock the keyring.
	keyringWait = time.Minute
)

// osKey is a [KeySource] whose key lies in the system's keyring, under service
// "coatcheck", as the text KEY line of a key file. Sealed text is
// "coatcheck-ring-1", a 12-byte nonce, the ciphertext and a 16-byte tag.
type osKey struct {
	account string
	ring    OSKeyring
	wait    time.Duration
}

func (o *SourceOptions) parseKeyring(rest string) (KeySource, error) {
	k := &osKey{account: keyringAccount, ring: o.Keyring, wait: keyringWait}
	if k.ring == nil {
		k.ring = systemKeyring{}
	}
	if rest != "" {
		if !plainName(rest) || len(rest) > 64 { // it stands in the system's own windows
			return nil, invalidSource(`is not "keyring:" and a name of letters, digits, ".", "_" and "-"`)
		}
		k.account = rest
	}
	return k, nil
}

// String returns the URI.
func (k *osKey) String() string {
	if k.account == keyringAccount {
		return "keyring:"
	}
	return "keyring:" + k.account
}

// Seal implements [KeySource].
func (k *osKey) Seal(ctx context.Context, plain, aad []byte) ([]byte, error) {
	a, err := k.aead(ctx)
	if err != nil {
		return nil, err
	}
	box, err := a.Encrypt(plain, append([]byte(keyringMark), aad...))
	return append([]byte(keyringMark), box...), err
}

// Open implements [KeySource].
func (k *osKey) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	box, ok := bytes.CutPrefix(sealed, []byte(keyringMark))
	if !ok {
		return nil, notMine(k, sealed)
	}
	a, err := k.aead(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := a.Decrypt(box, append([]byte(keyringMark), aad...))
	if err != nil {
		return nil, fmt.Errorf("%w: the key %s in this user's keyring belongs to another vault", vault.ErrKeyWrong, k)
	}
	return plain, nil
}

func (k *osKey) aead(ctx context.Context) (*subtle.AESGCM, error) {
	key, err := k.key(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return subtle.NewAESGCM(key)
}

func (k *osKey) key(ctx context.Context) ([]byte, error) {
	text, err := k.call(ctx, func() (string, error) { return k.ring.Get(keyringService, k.account) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, fmt.Errorf("%w: this user's keyring has no key %s/%s; unlock or bring back the keyring this vault was made with",
			vault.ErrKeyMissing, keyringService, k.account)
	}
	if err != nil {
		return nil, err
	}
	key, ok := parseKey([]byte(text))
	if !ok {
		return nil, fmt.Errorf("%w: what this user's keyring has as %s/%s is no key of coatcheck", vault.ErrKeyWrong, keyringService, k.account)
	}
	return key, nil
}

// makeKey puts a new random key into the keyring; one that is there stays.
func (k *osKey) makeKey(ctx context.Context) (made bool, err error) {
	key, err := k.key(ctx)
	if clear(key); !errors.Is(err, vault.ErrKeyMissing) {
		return false, err
	}
	key = make([]byte, keyBytes)
	defer clear(key)
	if _, err := rand.Read(key); err != nil {
		return false, err
	}
	_, err = k.call(ctx, func() (string, error) {
		return "", k.ring.Set(keyringService, k.account, string(keyLine(key)))
	})
	return err == nil, err
}

// call bounds the time of a call that takes no context: the system may show a
// person a window.
func (k *osKey) call(ctx context.Context, fn func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.wait, errNoKeyring)
	defer cancel()
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := fn()
		done <- result{text, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		r.err = context.Cause(ctx)
	}
	if r.err == nil || errors.Is(r.err, keyring.ErrNotFound) || errors.Is(r.err, context.Canceled) {
		return r.text, r.err
	}
	// What the system says is no help to a person, and not ours to repeat.
	return "", fmt.Errorf("%w: no keyring answers here; it needs the session of a desktop, or one that is unlocked (%s can be used there only)", vault.ErrKeyUnavailable, k)
}

var errNoKeyring = errors.New("keyring does not answer")
