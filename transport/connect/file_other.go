//go:build !unix

package connect

import (
	"io/fs"
	"os"
)

// sameOwner does nothing: a new file inherits from its folder.
func sameOwner(*os.File, fs.FileInfo) error { return nil }

// closed does nothing: a file inherits who may read it from its folder, which is
// the user's own.
func closed(string, fs.FileInfo) error { return nil }

// syncDir does nothing: folders cannot be synced here.
func syncDir(string) error { return nil }
