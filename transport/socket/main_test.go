package socket_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the program that connects as another user: with DIAL in its
// environment the test binary dials there and says what it reads.
func TestMain(m *testing.M) {
	if path := os.Getenv("DIAL"); path != "" {
		os.Exit(dialAndRead(path))
	}
	goleak.VerifyTestMain(m)
}
