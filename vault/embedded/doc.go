// Package embedded is the encrypted vault in the state database.
//
// The one rule: whoever reads the tables of the vault learns paths, tiers, numbers
// of versions, times of deletion and sizes, and nothing else; whoever writes to
// them can make a secret unreadable ([vault.ErrCorrupt]), but cannot make the
// vault return a value, a destination or a tier that the vault itself did not
// write for that path.
//
//	src, err := embedded.ParseKeySource("file:/home/me/.config/coatcheck/key")
//	keys, err := embedded.OpenKeyring(ctx, db, src)
//	v := embedded.New(db, keys, nil)
//	meta, err := v.Put(ctx, p, vault.Change{Value: value})
//	err = db.Update(ctx, func(tx *sqldb.Tx) error {
//		_, err := v.InTx(tx).Describe(p) // in one commit with other stores
//		return err
//	})
//
// # Keys
//
// A [KeySource] (see [SourceOptions.Parse]) seals one Tink AES256-GCM keyset, kept
// in table vault_keyring beside a random vault id. The keyset seals two kinds of records. Every
// version of a secret has a 256-bit AES-GCM key of its own that seals the value:
//
//	source → keyset → record of the secret (JSON: type, tier, destinations, …)
//	                → head of a version (its key, its times) → body (the value)
//
// Associated data binds each sealed part to its place. It is ASCII, "|" occurs
// in no field but the last:
//
//	keyset   coatcheck.keyset.v1|VAULT ID
//	record   coatcheck.secret.v1|VAULT ID|PATH|FIRST VERSION
//	head     coatcheck.head.v1|VAULT ID|PATH|VERSION
//	body     coatcheck.body.v1|VAULT ID|PATH|VERSION
//	others   coatcheck.keyring.v1|VAULT ID|PURPOSE
//
// A sealed record, head or other thing starts with the id of the key that made
// it. [Keyring.BeginRekey] and [Keyring.FinishRekey] replace that key while other
// processes work: see rekey.go for the states in between. A body is sealed anew
// with its next version only, since its key is in the head.
//
// A head is, before sealing, 48 bytes: the 32-byte key, the creation time and
// the time a rotation retires the version (0: never), both as big-endian
// microseconds since 1970 UTC. Destroying a head destroys the version.
//
// # Trash
//
// One path may have one live secret and any number of deleted ones. Version
// numbers of a path go on through all of them, so each secret owns the range
// from its first version to its current one, and no number is ever used twice
// while something of the path is left.
//
// # Choices
//
// The record is authenticated as a whole and the clear columns are an index
// only: a destination in a column could be edited by whoever can write the
// file. Times of retirement live in the heads, not in the record, because the
// record is on the hot path and would grow with every rotation.
//
// What it does not do: it does not notice that single rows, or the whole file,
// were put back to an older state that it wrote itself. The audit log's anchor
// outside the database notices the latter. It does not hide how many secrets
// there are, their names, nor the lengths of values. Other tables of the same
// file keep their own promises: there, the destinations of handles and the
// targets in the record stand in clear. What authenticates each of them is told
// at broker.OpenRows.
package embedded
