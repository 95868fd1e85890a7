package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// following is the source of an open home. A rekey may give the home another one
// at any moment, also between the look at config.yaml and the opening of the
// vault: what the source does not open is tried with the one that the home's
// files name by then. They are the files that a process started anew would read,
// so it follows to nothing that it could not have started with.
type following struct {
	choose func() (keyChoice, error)

	mu  sync.Mutex
	now embedded.KeySource
}

// follow returns source, or what follows the home where the home's files have
// named it. A variable says the same for the life of the process.
func (a *app) follow(h home, c keyChoice, source embedded.KeySource) embedded.KeySource {
	if c.by == keyVariable {
		return source
	}
	return &following{choose: func() (keyChoice, error) { return a.keySource(h) }, now: source}
}

// Seal implements [embedded.KeySource].
func (f *following) Seal(ctx context.Context, plain, aad []byte) ([]byte, error) {
	return f.source().Seal(ctx, plain, aad)
}

// Open implements [embedded.KeySource].
func (f *following) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	source := f.source()
	plain, err := source.Open(ctx, sealed, aad)
	if !notItsKey(err) {
		return plain, err
	}
	tried := []string{source.String()}
	// The files may be changed while they are read, and again after that.
	for range 3 {
		choice, fault := f.choose()
		if fault != nil {
			continue
		}
		for _, next := range []embedded.KeySource{choice.source, choice.next} {
			if next == nil || slices.Contains(tried, next.String()) || asksOnce(next) {
				continue
			}
			tried = append(tried, next.String())
			plain, fault := next.Open(ctx, sealed, aad)
			switch {
			case fault == nil:
				f.mu.Lock()
				defer f.mu.Unlock()
				f.now = next
				return plain, nil
			case !notItsKey(fault):
				err = fault
			}
		}
	}
	return nil, err
}

// String returns the URI of the source that opened last.
func (f *following) String() string { return f.source().String() }

func (f *following) source() embedded.KeySource {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func notItsKey(err error) bool {
	return errors.Is(err, vault.ErrKeyWrong) || errors.Is(err, vault.ErrKeyMissing)
}

// asksOnce reports a source that a person or an inherited descriptor answers, when a
// process starts and never later: a descriptor of that number is another one by then.
func asksOnce(source embedded.KeySource) bool {
	words, ok := strings.CutPrefix(source.String(), "passphrase:")
	return ok && !strings.HasPrefix(words, "file:")
}
