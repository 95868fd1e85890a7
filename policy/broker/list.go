package broker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
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
// of field "cursor", [identity.ErrUnauthenticated], *[Denied] for an agent that
// asks for the trash.
func (b *Broker) List(ctx context.Context, who identity.Principal, r ListRequest) (vault.Page, error) {
	page, err := b.list(ctx, who, r)
	if err == nil && who.Door != policy.DoorMCP { // a model is not told
		err = b.withAccesses(ctx, page.Items)
	}
	return page, err
}

func (b *Broker) list(ctx context.Context, who identity.Principal, r ListRequest) (vault.Page, error) {
	if r.Deleted && !manages(who) {
		return vault.Page{}, managersOnly()
	}
	if err := b.admit(ctx, who); err != nil {
		return vault.Page{}, err
	}
	from, err := readPlace(r.After)
	if err != nil {
		return vault.Page{}, err
	}
	if r.Limit <= 0 {
		r.Limit = vault.DefaultPageSize
	}
	l := listing{b: b, judge: b.judge(who), request: r, limit: min(r.Limit, vault.MaxPageSize)}
	prefixes := l.reach()
	for i, prefix := range prefixes {
		if prefix < from.Prefix {
			continue
		}
		after := ""
		if prefix == from.Prefix {
			after = from.After
		}
		if after, err = l.read(ctx, prefix, after); err != nil {
			return vault.Page{}, err
		}
		next := place{prefix, after}
		if after == "" {
			if len(l.page.Items) < l.limit || i+1 == len(prefixes) {
				continue
			}
			next = place{Prefix: prefixes[i+1]}
			i++
		}
		more, err := l.more(ctx, prefixes[i:], next.After)
		if more {
			l.page.Next = next.String()
		}
		return l.page, err
	}
	return l.page, nil
}

// listing is one page in the making.
type listing struct {
	b       *Broker
	judge   judge
	request ListRequest
	limit   int
	seeks   int
	page    vault.Page
}

// read takes what may be seen below prefix until the page is full, and returns
// where to go on below that prefix, "" at its end. Once something hidden is
// met, whole pages of the vault are read whatever the limit, so that the length
// of a page and its cursor say little about what is hidden.
func (l *listing) read(ctx context.Context, prefix, after string) (string, error) {
	size := l.limit - len(l.page.Items)
	for {
		if l.seeks++; l.seeks > maxSeeks {
			return after, nil
		}
		query := vault.Query{Prefix: prefix, After: after, Limit: size, Deleted: l.request.Deleted}
		got, err := l.b.c.Vault.List(ctx, query)
		if err != nil {
			return "", err
		}
		for i, m := range got.Items {
			if !l.judge.showsThis(m) {
				size = vault.MaxPageSize
				continue
			}
			l.page.Items = append(l.page.Items, m)
			if len(l.page.Items) < l.limit {
				continue
			}
			if i == len(got.Items)-1 {
				return got.Next, nil
			}
			query.Limit = i + 1 // the cursor behind this very secret
			got, err = l.b.c.Vault.List(ctx, query)
			return got.Next, err
		}
		if after = got.Next; after == "" {
			return "", nil
		}
		if size < vault.MaxPageSize {
			size = l.limit - len(l.page.Items)
		}
	}
}

// more reports whether anything that may be seen follows: a cursor that only
// leads past hidden secrets would tell of them. It gives up after [maxSeeks]
// with yes.
func (l *listing) more(ctx context.Context, prefixes []string, after string) (bool, error) {
	for _, prefix := range prefixes {
		for {
			if l.seeks++; l.seeks > maxSeeks {
				return true, nil
			}
			size := 1
			if !l.judge.exempt() {
				size = vault.MaxPageSize
			}
			got, err := l.b.c.Vault.List(ctx, vault.Query{Prefix: prefix, After: after, Limit: size, Deleted: l.request.Deleted})
			if err != nil {
				return false, err
			}
			if slices.ContainsFunc(got.Items, l.judge.showsThis) {
				return true, nil
			}
			if after = got.Next; after == "" {
				break
			}
		}
	}
	return false, nil
}

// reach returns the prefixes to read: those the policy opens to the caller, cut
// to what was asked for.
func (l *listing) reach() []string {
	asked := l.request.Prefix
	if l.judge.exempt() {
		return []string{asked}
	}
	var out []string
	for _, allowed := range l.judge.who.Within(identity.Read, l.judge.rules.Reach(l.judge.subject(), policy.List)) {
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
// *[Denied], [vault.ErrNotFound], [identity.ErrUnauthenticated].
func (b *Broker) Describe(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error) {
	if err := b.admit(ctx, who); err != nil {
		return vault.Metadata{}, err
	}
	j := b.judge(who)
	if !j.exempt() {
		r, err := j.rule(j.outside(ctx), policy.List, p, nil)
		if err != nil {
			return vault.Metadata{}, err
		}
		if !r.Allowed {
			return vault.Metadata{}, r.denied()
		}
	}
	meta, err := j.outside(ctx)(p)
	if err != nil || who.Door == policy.DoorMCP {
		return meta, err
	}
	one := []vault.Metadata{meta}
	err = b.withAccesses(ctx, one)
	return one[0], err
}

// Alive refuses a registered agent that was revoked since it connected, or a token
// that may not act any more from its address. What is recorded asks in its own
// transaction instead. Errors: those of [identity.Store.Alive].
func (b *Broker) Alive(ctx context.Context, who identity.Principal) error {
	if who.Kind == identity.Owner || who.Kind == identity.Agent && who.Name == identity.Local {
		return nil
	}
	return b.c.DB.View(ctx, func(tx *sqldb.Tx) error { return b.c.Agents.Alive(tx, who, b.now()) })
}
