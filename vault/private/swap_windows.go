package private

import (
	"io/fs"
	"os"
)

// like leaves a new file as it is: it has the folder's access list, as the old
// one had.
func like(*os.File, fs.FileInfo) error { return nil }

// names is not told here.
func names(fs.FileInfo) uint64 { return 1 }
