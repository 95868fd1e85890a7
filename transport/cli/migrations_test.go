package cli_test

import (
	"slices"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/transport/cli"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestEveryMigrationIsListed: each step of each package once, and those of one
// package in their order.
func TestEveryMigrationIsListed(t *testing.T) {
	listed := cli.Migrations()
	at := func(m sqldb.Migration) int {
		return slices.IndexFunc(listed, func(l sqldb.Migration) bool { return l.Name == m.Name })
	}
	steps := 0
	for _, of := range [][]sqldb.Migration{
		embedded.Migrations(), identity.Migrations(), handle.Migrations(), audit.Migrations(), broker.Migrations(), clock.Migrations(), approval.Migrations(), overlay.Migrations(),
	} {
		last := -1
		for _, m := range of {
			i := at(m)
			if i <= last {
				t.Errorf("%s stands at %d, after a step at %d", m.Name, i, last)
			}
			last = i
			steps++
		}
	}
	if steps != len(listed) {
		t.Errorf("%d steps, %d listed", steps, len(listed))
	}
}
