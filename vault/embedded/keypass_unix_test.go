//go:build unix

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// inherited returns a pipe's end for reading as a child has it from its parent:
// without the flag that closes it on exec.
func inherited(t *testing.T, content string) (fd int, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fd, err = syscall.Dup(int(r.Fd())) // the copy has no such flag
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return fd, w
}

func onDescriptor(t *testing.T, fd int) embedded.KeySource {
	t.Helper()
	src, err := embedded.ParseKeySource(fmt.Sprintf("passphrase:fd:%d", fd))
	if err != nil {
		t.Fatal(err)
	}
	return embedded.Cheap(src)
}

func TestPassphraseDescriptor(t *testing.T) {
	sealed, err := worded(t, words).Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	fd, w := inherited(t, words+"\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src := onDescriptor(t, fd)
	for range 2 { // read once, kept for later
		if plain, err := src.Open(t.Context(), sealed, nil); err != nil || string(plain) != "plain" {
			t.Errorf("%q, %v", plain, err)
		}
	}
	if _, err := onDescriptor(t, fd).Open(t.Context(), sealed, nil); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("closed: %v", err)
	}
}

// TestPassphraseDescriptorOfOurOwn: a descriptor that this process opened, such
// as the database's, is neither read nor closed.
func TestPassphraseDescriptorOfOurOwn(t *testing.T) {
	f, err := os.Open(writeFile(t, privateDir(t), "database", words))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := onDescriptor(t, int(f.Fd())).Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("got %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func TestPassphraseDescriptorThatNeverEnds(t *testing.T) {
	fd, w := inherited(t, words)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := onDescriptor(t, fd).Seal(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
