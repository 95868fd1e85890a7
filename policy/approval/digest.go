package approval

import (
	"slices"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
)

// Digest binds what a request consists of for [Spec]. It is a MAC under the key of
// the rows (package rowmac) and no plain hash, since a part may be a value that
// the request brings along (nil: none): who reads the table must not be able to try
// guesses. No copy of it is left behind.
func (s *Store) Digest(value []byte, parts ...string) [32]byte {
	size := len(value)
	for _, p := range parts {
		size += len(p) + 16 // with what stands before each
	}
	fields := slices.Grow(rowmac.Row("digest of an approval"), size+16)
	for _, p := range parts {
		fields = fields.Text(p)
	}
	fields = fields.Bytes(value)
	defer clear(fields)
	return [32]byte(s.rows.Sum(fields))
}

// IsID reports whether text has the form of the id of a request.
func IsID(text string) bool {
	if len(text) != len(Prefix)+10 || text[:len(Prefix)] != Prefix {
		return false
	}
	for i := len(Prefix); i < len(text); i++ {
		if !mint.IsDigit(text[i]) {
			return false
		}
	}
	return true
}
