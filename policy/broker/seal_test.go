package broker_test

import (
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestLeavesMadeDuringACheckpointAreSealedToo: what is recorded while a
// checkpoint is being made gets one of its own, also when nothing follows.
func TestLeavesMadeDuringACheckpointAreSealedToo(t *testing.T) {
	f := newDesk(t, allowAll)
	var checkpoints atomic.Int64
	first, goOn, second := make(chan struct{}), make(chan struct{}), make(chan struct{})
	f.sealed = func() {
		switch checkpoints.Add(1) {
		case 1:
			close(first)
			<-goOn
		case 2:
			close(second)
		}
	}
	f.put(t, "a/before", vault.Change{})
	<-first
	f.put(t, "a/meanwhile", vault.Change{})
	close(goOn)
	<-second
}
