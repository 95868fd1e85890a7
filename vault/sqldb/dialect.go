package sqldb

import (
	"path/filepath"
	"strings"
)

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

// fileURI names a file to SQLite (sqlite.org/uri.html), ready for a query.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" { // C:/… becomes /C:/…
		path = "/" + path
	}
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
