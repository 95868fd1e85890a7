package private

import "io/fs"

// like leaves a new file as it is: it has the folder's access list, as the old
// one had.
func like(string, fs.FileInfo) error { return nil }
