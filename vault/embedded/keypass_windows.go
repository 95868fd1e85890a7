package embedded

import (
	"context"
	"fmt"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// readInherited cannot be: Windows hands on handles, not numbered descriptors.
func readInherited(context.Context, int, int) ([]byte, error) {
	return nil, fmt.Errorf("%w: passphrase:fd: is not for Windows; use passphrase:file:", vault.ErrKeyMissing)
}
