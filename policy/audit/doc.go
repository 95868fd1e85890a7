// Package audit is the record of every handle, use and change, and every refusal of
// one: an append-only log whose past cannot be changed without showing.
//
// The one rule: an event is recorded in the transaction that causes it, and
// whatever a signed checkpoint covers can no longer be edited, removed,
// inserted, reordered or cut without [Verify] saying so.
//
//	log := audit.New(signer, verifier)
//	err := db.Update(ctx, func(tx *sqldb.Tx) error {
//		… // the change itself
//		_, err := log.Append(tx, audit.Entry{Time: now, Event: "secret.deleted", Actor: "owner", Outcome: audit.OK, Path: p})
//		return err
//	})
//	anchor, err := log.Checkpoint(ctx, db)          // keep it outside the database
//	report, err := audit.Verify(ctx, db, verifier, anchor)
//
// Records are numbered from 1 without gaps. Each is the leaf of a Merkle tree
// (RFC 6962, golang.org/x/mod/sumdb/tlog; leaf n of the tree is record n+1). A
// checkpoint is a signed note in the form of C2SP tlog-checkpoint, so that any
// tlog tool can check it offline.
//
// Choice: appending writes one row and hashes nothing; the tree grows at
// checkpoints, off the hot path. What lies after the last checkpoint is in the
// log and not yet under seal; [Verify] says how much that is. Hash chaining at
// each append was rejected: without a key it binds nobody who can write the
// database, and it would put a read before every write.
//
// What it does not do: an attacker with the database and the signing key can
// write another history; only an anchor kept elsewhere shows it. It does not
// keep secrets: entries have fixed fields and the caller puts no value in them.
package audit
