package cli_test

import (
	"io"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestMeter: one line, written over at each tick and gone at the end.
func TestMeter(t *testing.T) {
	read, write := io.Pipe()
	ticks := make(chan time.Time)
	set, end := cli.StartMeter(write, "Storing", 2000, ticks)
	shows := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(read, got); err != nil || string(got) != want {
			t.Errorf("shows %q, want %q (%v)", got, want, err)
		}
	}
	ticks <- time.Time{}
	shows("\rStoring 0 of 2000 …")
	set(1500)
	ticks <- time.Time{}
	shows("\rStoring 1500 of 2000 …")
	done := make(chan struct{})
	go func() { end(); close(done) }()
	shows("\r" + "                        " + "\r")
	<-done
}
