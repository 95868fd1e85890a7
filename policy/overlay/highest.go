package overlay

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// mostPages is how many pages of the vault elsewhere are read to find the highest
// tier: people are asked rather than everybody kept waiting.
const mostPages = 25

// Highest returns the highest tier of the live secrets that one of the globs
// matches, [vault.Standard] when there are none, and [vault.Critical] where it
// takes more than 25 pages of [vault.MaxPageSize], for all globs together, to tell.
func (v *Vault) Highest(ctx context.Context, globs []vault.Glob) (highest vault.Tier, err error) {
	highest = vault.Standard
	pages := 0
	for _, g := range globs {
		literal, _ := g.Prefix()
		for q := (vault.Query{Prefix: literal, Limit: vault.MaxPageSize}); ; {
			if pages++; pages > mostPages {
				return vault.Critical, nil
			}
			page, err := v.far.List(ctx, q)
			if err != nil {
				return "", err
			}
			for _, m := range page.Items {
				if g.Match(string(m.Path)) && m.Tier.Rank() > highest.Rank() {
					highest = m.Tier
				}
			}
			if q.After = page.Next; q.After == "" || highest == vault.Critical {
				break
			}
		}
	}
	return highest, nil
}
