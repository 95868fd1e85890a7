//go:build !linux && !darwin

package socket_test

import (
	"errors"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

func dialAndRead(string) int { return 1 }

func TestUnsupported(t *testing.T) {
	if _, err := socket.Listen(`C:\desk.sock`, nil); !errors.Is(err, socket.ErrUnsupported) {
		t.Errorf("Listen: %v", err)
	}
	if _, _, err := socket.Dial(t.Context(), `C:\desk.sock`); !errors.Is(err, socket.ErrUnsupported) {
		t.Errorf("Dial: %v", err)
	}
}
