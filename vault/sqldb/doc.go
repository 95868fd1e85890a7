// Package sqldb opens the state database and runs transactions on it. It is
// mechanism only: it has no tables of its own; stores bring their [Migration]s
// and work on a [*Tx].
//
// The one rule: when [DB.Update] returns nil, everything its function wrote is
// on disk; when it returns an error, nothing of it is, except that a disk which
// failed in the middle of a commit ([vault.ErrStorageFailed]) may show all of it
// after a crash.
//
//	db, err := sqldb.Open(ctx, path, migrations)
//	err = db.Update(ctx, func(tx *sqldb.Tx) error {
//		_, err := tx.Exec("INSERT INTO t (a) VALUES (?)", 1)
//		return err
//	})
//
// Writes queue, and the caller at the head of the queue commits for those that
// wait behind it: they share one commit, each in a savepoint of its own, so that
// one that fails does not take the others along. A lone write pays for no
// savepoint and no change of goroutine. Reads run on connections of their own
// and never wait for a writer.
//
// The processes that write one database take turns in the order of their
// coming, by two locks on files beside it (turn.go). A wait for one that does not
// move ends in [vault.ErrBusy] after [BusyTimeout].
//
// The log is folded into the database beside the work, and after a bulk write
// before it is acknowledged, so that the next start has little to read (fold.go).
//
// Choices: SQLite through modernc, write-ahead log, synchronous=FULL, so that an
// acknowledged change survives a power cut as far as fsync does (on macOS that
// reaches the drive, not always its platter). Handing SQL to many connections
// at once was rejected: SQLite's busy polling starves. So was database/sql: its
// pool and conversions cost a third of a short query.
//
// SQL is written with "?" placeholders; in migrations {blob} is a byte column,
// {text} one of text that sorts byte for byte and {key} an integer that is a
// primary key by itself; {clustered} after a table has its rows lie in the order
// of their primary key. dialect.go holds what differs
// between databases. Times are BIGINT microseconds.
package sqldb
