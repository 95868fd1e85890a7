// Package vaulttest holds what every [vault.Vault] is tested with: the contract
// as a suite, and canaries that tell whether a value got out.
//
// The one rule: what a vault cannot do is declared in [Caps] and listed in the
// test's output; nothing is skipped in silence, and a capability that is there
// but not declared fails too.
//
//	vaulttest.Run(t, func(t *testing.T) vault.Vault { return … },
//		vaulttest.Caps{Trash: true, History: true, Destinations: true, FakeTime: true})
//
//	canary := vaulttest.NewCanary(t)
//	use(canary.Value())
//	canary.Absent(t, "the log", log.Bytes())
//	vaulttest.ScanFolder(t, home, canary)
//
// Time runs in testing/synctest bubbles where the vault allows it, so a month
// of retention takes no time and no vault needs a clock for its tests.
//
// Not here: tests of how a vault keeps its secrets. Those belong to the vault.
package vaulttest
