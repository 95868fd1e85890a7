package sqldb

import "strings"

// dialect is what differs between the databases the same SQL runs on.
type dialect struct{ blob string }

var sqlite = dialect{blob: "BLOB"}

// rewrite replaces {blob} in a migration.
func (d dialect) rewrite(statement string) string {
	return strings.ReplaceAll(statement, "{blob}", d.blob)
}

// escapeURIPath makes a file path safe inside a SQLite file: URI.
func escapeURIPath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
