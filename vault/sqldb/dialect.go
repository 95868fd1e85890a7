package sqldb

import (
	"path/filepath"
	"strings"
)

// dialect is what differs between the databases the same SQL runs on.
type dialect struct {
	blob      string // bytes
	text      string // text compared byte for byte
	key       string // an integer that is a primary key by itself
	clustered string // at the end of a table: its rows lie in the order of its primary key
}

// In SQLite a BIGINT primary key is an index beside the table, and an INTEGER one
// is the table (sqlite.org/lang_createtable.html, "ROWIDs and the INTEGER PRIMARY KEY").
var sqlite = dialect{blob: "BLOB", text: "TEXT", key: "INTEGER", clustered: "WITHOUT ROWID"}

// rewrite replaces {blob} and its like in a migration.
func (d dialect) rewrite(statement string) string {
	return strings.NewReplacer("{blob}", d.blob, "{text}", d.text, "{key}", d.key, "{clustered}", d.clustered).Replace(statement)
}

// fileURI names a file to SQLite (sqlite.org/uri.html), ready for a query.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" { // C:/… becomes /C:/…
		path = "/" + path
	}
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
