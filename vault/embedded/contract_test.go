package embedded_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault { t.Helper(); return newHome(t).open(t, nil) },
		vaulttest.Caps{Trash: true, History: true, Destinations: true, FakeTime: true})
}
