package embedded

import (
	"errors"
	"slices"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// mostLooked is how many secrets of a tier are compared with one glob: 50 globs
// made to be slow are done with them in seconds, and not in hours with a million.
const mostLooked = 1000

// Highest returns the highest tier of the live secrets that one of the globs
// matches, [vault.Standard] when there are none. It reads an index of the
// secrets that are not standard, and stops at the first of the highest tier. A
// path and a prefix with a star cost one look. What else may match is compared
// with a thousand secrets of a tier, and where there are more the tier is taken
// for matched: people are asked rather than everybody kept waiting. The
// index is in clear and only tells what to ask for early: whoever opens a value
// looks at the tier of its record.
func (v *Vault) Highest(tx *sqldb.Tx, globs []vault.Glob) (vault.Tier, error) {
	tiers := vault.Tiers()
	for rank, tier := range slices.Backward(tiers) {
		if rank == 0 {
			break
		}
		for _, g := range globs {
			if found, err := guarded(tx, g, rank); found || err != nil {
				return tier, err
			}
		}
	}
	return vault.Standard, nil
}

func guarded(tx *sqldb.Tx, g vault.Glob, rank int) (bool, error) {
	literal, _ := g.Prefix()
	low, high := prefixRange(literal)
	if g.Literal() {
		high = literal + " " // what follows it, and all that it begins (vault.Path)
	}
	looked := 0
	err := tx.Query("SELECT path FROM vault_secrets WHERE tier = ? AND tier <> 0 AND deleted_at = 0 AND path >= ? AND path < ? ORDER BY path",
		[]any{rank, low, high}, func(scan func(...any) error) error {
			var path string
			if err := scan(&path); err != nil {
				return err
			}
			if looked++; g.Match(path) || looked > mostLooked {
				return errStop
			}
			return nil
		})
	if errors.Is(err, errStop) {
		return true, nil
	}
	return false, err
}
