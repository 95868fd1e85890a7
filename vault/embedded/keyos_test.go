package embedded_test

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// ring is a keyring in memory.
type ring struct {
	mu    sync.Mutex
	items map[string]string
	err   error
	hangs chan struct{} // not nil: calls wait for it
}

func newRing() *ring { return &ring{items: map[string]string{}} }

func (r *ring) Get(service, account string) (string, error) {
	if r.hangs != nil {
		<-r.hangs
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text, ok := r.items[service+"/"+account]
	if r.err == nil && !ok {
		return "", keyring.ErrNotFound
	}
	return text, r.err
}

func (r *ring) Set(service, account, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items[service+"/"+account] = text
	return r.err
}

func inRing(tb testing.TB, r embedded.OSKeyring, uri string) embedded.KeySource {
	tb.Helper()
	src, err := (&embedded.SourceOptions{Keyring: r}).Parse(uri)
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

func TestKeyringSource(t *testing.T) {
	r := newRing()
	src := inRing(t, r, "keyring:")
	if _, err := src.Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrKeyMissing) || !strings.Contains(err.Error(), "coatcheck/vault") {
		t.Errorf("nothing there: %v", err)
	}
	for _, want := range []bool{true, false} {
		if made, err := embedded.MakeKey(t.Context(), src); err != nil || made != want {
			t.Errorf("made %v, want %v; %v", made, want, err)
		}
	}
	sealed, err := src.Seal(t.Context(), []byte("plain"), []byte("aad"))
	if err != nil || len(sealed) != 16+12+5+16 {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	other := inRing(t, r, "keyring:other")
	if made, err := embedded.MakeKey(t.Context(), other); err != nil || !made || len(r.items) != 2 {
		t.Errorf("%v, %v, %d items", made, err, len(r.items))
	}
	if _, err := other.Open(t.Context(), sealed, []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) || !strings.Contains(err.Error(), "keyring:other") {
		t.Errorf("with another key: %v", err)
	}
	r.items["coatcheck/vault"] = "junk"
	if _, err := src.Open(t.Context(), sealed, []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) || strings.Contains(err.Error(), "junk") {
		t.Errorf("junk: %v", err)
	}
	if made, err := embedded.MakeKey(t.Context(), src); made || !errors.Is(err, vault.ErrKeyWrong) {
		t.Errorf("over what another program put there: %v, %v", made, err)
	}
}

// realKeyring is given by 'make sources', within a session that has a keyring.
var realKeyring = flag.Bool("keyring", false, "test over the keyring of this session, not over go-keyring's mock")

// TestKeyringSourceSystem goes through go-keyring itself, over its own mock or
// the keyring of the session.
func TestKeyringSourceSystem(t *testing.T) {
	if !*realKeyring {
		keyring.MockInit()
	}
	account := "test-" + strings.ToLower(rand.Text())
	src := inRing(t, nil, "keyring:"+account)
	if _, err := src.Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrKeyMissing) {
		t.Fatalf("nothing there: %v", err)
	}
	if made, err := embedded.MakeKey(t.Context(), src); err != nil || !made {
		t.Fatalf("%v, %v", made, err)
	}
	sealed, err := src.Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := src.Open(t.Context(), sealed, nil); err != nil || string(plain) != "plain" {
		t.Errorf("%q, %v", plain, err)
	}
	if err := keyring.Delete("coatcheck", account); err != nil {
		t.Error(err)
	}
	if *realKeyring { // go-keyring keeps the session's bus open
		if bus, err := dbus.SessionBus(); err != nil || bus.Close() != nil {
			t.Error(err)
		}
	}
	keyring.MockInitWithError(errors.New("dbus: hostile text"))
	if _, err := src.Open(t.Context(), sealed, nil); !errors.Is(err, vault.ErrKeyUnavailable) || strings.Contains(err.Error(), "hostile") {
		t.Errorf("no keyring: %v", err)
	}
}

func TestKeyringSourceUnavailable(t *testing.T) {
	r := newRing()
	r.err = keyring.ErrUnsupportedPlatform
	if _, err := embedded.MakeKey(t.Context(), inRing(t, r, "keyring:")); !errors.Is(err, vault.ErrKeyUnavailable) {
		t.Errorf("no keyring: %v", err)
	}
	r = newRing()
	r.hangs = make(chan struct{})
	defer close(r.hangs)
	src := embedded.Hurried(inRing(t, r, "keyring:"), time.Millisecond)
	if _, err := src.Open(t.Context(), []byte("coatcheck-ring-1 and more"), nil); !errors.Is(err, vault.ErrKeyUnavailable) {
		t.Errorf("one that hangs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := inRing(t, r, "keyring:").Seal(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
