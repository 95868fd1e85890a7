package sqldb

import "strings"

// dialect is what differs between the databases the same SQL runs on.
type dialect struct {
	blob string // bytes
	text string // text compared byte for byte
}

var sqlite = dialect{blob: "BLOB", text: "TEXT"}

// rewrite replaces {blob} and {text} in a migration.
func (d dialect) rewrite(statement string) string {
	return strings.NewReplacer("{blob}", d.blob, "{text}", d.text).Replace(statement)
}

// escapeURIPath makes a file path safe inside a SQLite file: URI.
func escapeURIPath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
