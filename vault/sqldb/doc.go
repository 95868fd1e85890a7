// Package sqldb opens the state database and runs transactions on it. It is
// mechanism only: it has no tables of its own; stores bring their [Migration]s
// and work on a [*Tx].
//
// The one rule: when [DB.Update] returns nil, everything its function wrote is
// on disk; when it returns an error, nothing of it is.
//
//	db, err := sqldb.Open(ctx, path, migrations)
//	err = db.Update(ctx, func(tx *sqldb.Tx) error {
//		_, err := tx.Exec("INSERT INTO t (a) VALUES (?)", 1)
//		return err
//	})
//
// Writes queue behind one goroutine. When several wait, they share one commit,
// each in a savepoint of its own, so that one that fails does not take the
// others along; a single one pays for no savepoint. Reads run on connections of
// their own and never wait for a writer.
//
// Choice: SQLite through modernc, write-ahead log, synchronous=FULL, so that an
// acknowledged change survives a power cut. Handing SQL to many connections at
// once was rejected: SQLite's busy polling starves. What it does not do yet:
// writers of several processes take turns by that polling, bounded by
// [BusyTimeout].
//
// SQL is written with "?" placeholders; in migrations {blob} is a byte column
// and {text} one of text that sorts byte for byte. dialect.go holds what differs
// between databases. Times are BIGINT microseconds.
package sqldb
