// Package vault is the contract every store of secrets meets: what a secret is
// called ([Path]), how carefully it is kept ([Tier]), where its value may land
// ([Destination]), the [Vault] interface and every error a vault returns.
//
// The one rule: a value enters and leaves a vault as a [secret.Value]; nothing
// else in this package, its errors included, ever carries one.
//
//	p, err := vault.ParsePath("production/openai/api-key")
//	meta, err := v.Put(ctx, p, vault.Change{Value: value, Destinations: dests})
//	got, err := v.Get(ctx, p, vault.Latest)
//	page, err := v.List(ctx, vault.Query{Prefix: "production/"})
//
// A vault does not decide who may do what: that is package policy, and
// policy/broker is the only caller of a vault outside the command line.
package vault
