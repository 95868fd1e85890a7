package broker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// ListRequest selects a page.
type ListRequest struct {
	Prefix  string // literal text that paths start with
	After   string // [vault.Page.Next] of the page before
	Limit   int    // 0 is [vault.DefaultPageSize]; more than [vault.MaxPageSize] is clamped
	Deleted bool   // owner only: the trash
}

// maxSeeks bounds the pages of the vault read for one page of an agent, so that
// a policy that hides nearly everything cannot make a call slow. The page is
// then short, and its cursor goes on from there.
const maxSeeks = 8

// place is the content of a cursor: the allowed prefix being read and the
// vault's own cursor inside it.
type place struct {
	Prefix string `json:"p"`
	After  string `json:"a,omitempty"`
}

// List returns the metadata that who may see, in byte order of paths. A page
// may be short or empty and still have a next one. Errors: *[vault.InvalidError]
// of field "cursor", *[Denied] for an agent that asks for the trash.
func (b *Broker) List(ctx context.Context, who identity.Principal, r ListRequest) (vault.Page, error) {
	if r.Deleted && who.Kind != identity.Owner {
		return vault.Page{}, ownerOnly()
	}
	from, err := readPlace(r.After)
	if err != nil {
		return vault.Page{}, err
	}
	limit := r.Limit
	if limit <= 0 {
		limit = vault.DefaultPageSize
	}
	limit = min(limit, vault.MaxPageSize)
	var page vault.Page
	prefixes := b.reach(who, r.Prefix)
	seeks := 0
	for i, prefix := range prefixes {
		if prefix < from.Prefix {
			continue
		}
		after := ""
		if prefix == from.Prefix {
			after = from.After
		}
		for {
			if seeks++; seeks > maxSeeks || len(page.Items) == limit {
				page.Next = place{prefix, after}.String()
				return page, nil
			}
			got, err := b.Vault.List(ctx, vault.Query{Prefix: prefix, After: after, Limit: limit - len(page.Items), Deleted: r.Deleted})
			if err != nil {
				return vault.Page{}, err
			}
			for _, m := range got.Items {
				if b.shows(who, m.Path) {
					page.Items = append(page.Items, m)
				}
			}
			if after = got.Next; after == "" {
				break
			}
		}
		if len(page.Items) == limit && i+1 < len(prefixes) {
			page.Next = place{Prefix: prefixes[i+1]}.String()
			return page, nil
		}
	}
	return page, nil
}

// reach returns the prefixes to read: those the policy opens to who, cut to
// what was asked for.
func (b *Broker) reach(who identity.Principal, asked string) []string {
	if who.Kind == identity.Owner {
		return []string{asked}
	}
	var out []string
	for _, allowed := range b.Policy.Current().Reach(who.Subject(), policy.List) {
		switch {
		case strings.HasPrefix(asked, allowed):
			return []string{asked}
		case strings.HasPrefix(allowed, asked):
			out = append(out, allowed)
		}
	}
	return out
}

// String is the cursor.
func (p place) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // two strings always encode
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func readPlace(cursor string) (place, error) {
	var p place
	if cursor == "" {
		return p, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, &vault.InvalidError{Field: "cursor", Rule: "is not one that a listing returned"}
	}
	return p, nil
}

// Describe returns the metadata of one secret that who may list. Errors:
// *[Denied], [vault.ErrNotFound].
func (b *Broker) Describe(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error) {
	if _, err := b.decide(who, policy.List, p, nil); err != nil {
		return vault.Metadata{}, err
	}
	return b.Vault.Describe(ctx, p)
}
