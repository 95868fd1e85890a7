package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Vault is a service as a [vault.Vault], so that another desk stands behind this
// one. It is safe for concurrent use.
//
// The wire carries neither destinations nor recipes: a change that has any is
// refused with errors.ErrUnsupported, and no secret has them. It has no route to
// one secret's metadata either, so that [Vault.Describe] reads the list of the
// namespace, which coatcheck cuts down to that one entry. A change of both value
// and metadata of a secret that exists takes two requests, metadata first; when
// the second one fails, the first stays. What edition B lacks besides is refused
// likewise; there, a version by its number is the latest or none, and a change that
// only creates or only replaces looks first, so that of two at once both are made.
type Vault struct{ c *Client }

var (
	_ vault.Vault     = (*Vault)(nil)
	_ vault.Restorer  = (*Vault)(nil)
	_ vault.Historian = (*Vault)(nil)
)

// Vault returns the client's service as a [vault.Vault]. What the key may not do
// is refused with the errors of a [Client].
func (c *Client) Vault() *Vault { return &Vault{c} }

// Close implements [vault.Vault]. The client goes on.
func (v *Vault) Close() error {
	v.c.http.CloseIdleConnections()
	return nil
}

// Get implements [vault.Vault].
func (v *Vault) Get(ctx context.Context, p vault.Path, version int) (vault.Secret, error) {
	if _, err := vault.ParsePath(string(p)); err != nil || version < 0 {
		return vault.Secret{}, vault.ErrNotFound
	}
	ask := GetOptions{Version: version}
	if e, err := v.c.about(ctx, string(p)); err == nil && e == EditionB {
		ask.Version = vault.Latest // that edition has no other
	}
	s, err := v.c.GetSecret(ctx, string(p), &ask)
	if err != nil {
		return vault.Secret{}, v.expired(ctx, p, theirs(err))
	}
	if version != vault.Latest && s.Version != version {
		return vault.Secret{}, vault.ErrVersionRetired
	}
	m, err := kept(s.Metadata)
	if err != nil {
		return vault.Secret{}, err
	}
	m.Binary = !s.Value.IsText()
	return vault.Secret{Metadata: m, Value: s.Value}, nil
}

// expired tells a secret that has expired from one that is not there: the service
// says the same of both, and lists the first.
func (v *Vault) expired(ctx context.Context, p vault.Path, err error) error {
	if !errors.Is(err, vault.ErrNotFound) || errors.Is(err, vault.ErrVersionRetired) {
		return err
	}
	if m, failed := v.Describe(ctx, p); failed == nil && !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(time.Now()) {
		return fmt.Errorf("%w: %w", vault.ErrExpired, err)
	}
	return err
}

// Describe implements [vault.Vault].
func (v *Vault) Describe(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	if _, err := vault.ParsePath(string(p)); err != nil {
		return vault.Metadata{}, vault.ErrNotFound
	}
	// A service that does not know the field path gives the namespace, in the
	// order of paths.
	query := url.Values{"path": {string(p)}, "recursive": {"false"}}
	o := ListOptions{Limit: vault.MaxPageSize}
	for range mostPages {
		page, err := v.c.list(ctx, p.Namespace(), o, query)
		if err != nil {
			return vault.Metadata{}, theirs(err)
		}
		for _, m := range page.Items {
			if m.Path == string(p) {
				return kept(m)
			}
		}
		if len(page.Items) > 0 && page.Items[len(page.Items)-1].Path > string(p) || page.NextCursor == "" {
			return vault.Metadata{}, vault.ErrNotFound
		}
		if page.NextCursor == o.Cursor {
			break
		}
		o.Cursor = page.NextCursor
	}
	return vault.Metadata{}, theirs(badAnswer(http.StatusOK, "the list has no end"))
}

// mostPages is how many pages are read to find one secret.
const mostPages = 1000

// List implements [vault.Vault]. A page may have fewer items than its limit, or none,
// and still have a next one.
func (v *Vault) List(ctx context.Context, q vault.Query) (vault.Page, error) {
	_, asPath := vault.ParsePath(q.Prefix)
	if _, asStart := vault.ParsePath(q.Prefix + "x"); asPath != nil && asStart != nil {
		return vault.Page{}, ctx.Err() // no path starts like that
	}
	namespace := q.Prefix[:max(strings.LastIndexByte(q.Prefix, '/'), 0)]
	o := ListOptions{Limit: vault.DefaultPageSize, Cursor: q.After}
	if q.Limit > 0 {
		o.Limit = min(q.Limit, vault.MaxPageSize)
	}
	query := url.Values{}
	if q.Deleted {
		query.Set("deleted", "true")
	}
	for pages := 1; ; pages++ {
		page, err := v.page(ctx, namespace, o, query)
		if err != nil {
			return vault.Page{}, cursorOf(err, q.After)
		}
		out := vault.Page{Next: page.NextCursor}
		for _, m := range page.Items {
			if !strings.HasPrefix(m.Path, q.Prefix) {
				continue
			}
			one, err := kept(m)
			if err != nil {
				return vault.Page{}, err
			}
			out.Items = append(out.Items, one)
		}
		if len(out.Items) > 0 || out.Next == "" || pages == mostEmpty {
			return out, nil
		}
		o.Cursor = out.Next
	}
}

// mostEmpty is how many pages without anything that was asked for make an empty one.
const mostEmpty = 25

// page is one page of a list, no longer than was asked for. Edition B gives
// everything at once, of which a cursor is the last path that was given before.
func (v *Vault) page(ctx context.Context, namespace string, o ListOptions, query url.Values) (*Page, error) {
	after := o.Cursor
	e, err := v.c.spoken(ctx)
	if e == EditionB {
		o.Cursor = ""
	}
	if err != nil {
		return nil, err
	}
	page, err := v.c.list(ctx, namespace, o, query)
	switch {
	case err != nil:
		return nil, err
	case e == EditionB:
		all := page.Items
		slices.SortFunc(all, func(a, b Metadata) int { return strings.Compare(a.Path, b.Path) })
		all = slices.DeleteFunc(all, func(m Metadata) bool { return m.Path <= after })
		page = &Page{Items: all[:min(len(all), o.Limit)]}
		if len(all) > o.Limit {
			page.NextCursor = page.Items[o.Limit-1].Path
		}
	case len(page.Items) > o.Limit:
		return nil, badAnswer(http.StatusOK, "the page is longer than was asked for")
	case page.NextCursor != "" && page.NextCursor == after:
		return nil, badAnswer(http.StatusOK, "the page after is the page itself")
	}
	return page, nil
}

// cursorOf is the error of a list whose cursor the service does not take.
func cursorOf(err error, cursor string) error {
	if e, ok := errors.AsType[*Error](err); ok && cursor != "" && e.StatusCode == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", &vault.InvalidError{Field: "cursor", Rule: "was not made by this vault for this list"}, err)
	}
	return theirs(err)
}

// Delete implements [vault.Vault].
func (v *Vault) Delete(ctx context.Context, p vault.Path, permanent bool) error {
	if _, err := vault.ParsePath(string(p)); err != nil {
		return vault.ErrNotFound
	}
	return theirs(v.c.DeleteSecret(ctx, string(p), &DeleteOptions{Permanent: permanent}))
}

// Restore implements [vault.Restorer].
func (v *Vault) Restore(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	if _, err := vault.ParsePath(string(p)); err != nil {
		return vault.Metadata{}, vault.ErrNotFound
	}
	m, err := v.c.RestoreSecret(ctx, string(p))
	if err != nil {
		return vault.Metadata{}, theirs(err)
	}
	return kept(*m)
}

// History implements [vault.Historian].
func (v *Vault) History(ctx context.Context, p vault.Path) ([]vault.Version, error) {
	if _, err := vault.ParsePath(string(p)); err != nil {
		return nil, vault.ErrNotFound
	}
	versions, err := v.c.ListVersions(ctx, string(p))
	return versions, theirs(err)
}

// kept returns metadata as a vault has it. When it was last read is for the desk
// in front to say.
func kept(m Metadata) (out vault.Metadata, err error) {
	out = vault.Metadata{
		Type: m.Type, Tier: m.Tier, Description: m.Description, Tags: maps.Clone(m.Tags), Version: m.Version, Binary: m.Binary,
		CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, ExpiresAt: m.ExpiresAt, DeletedAt: m.DeletedAt,
	}
	// The rules are those for what is stored here: it stands in lists and answers.
	said := vault.Change{Type: &m.Type, Tier: &m.Tier, Description: &m.Description, Tags: &m.Tags}
	if _, err = said.Apply(vault.Metadata{Version: 1}, time.Time{}); err == nil && len(m.Extra) > 0 {
		var text []byte
		if text, err = json.Marshal(m.Extra); err == nil {
			out.Extra, err = vault.ParseExtra(string(text))
		}
	}
	if err == nil {
		out.Path, err = vault.ParsePath(m.Path)
	}
	if err != nil || m.Version < 0 {
		return vault.Metadata{}, theirs(badAnswer(http.StatusOK, "the answer has a secret whose path or metadata no vault here takes"))
	}
	return out, nil
}

// theirs adds the error of package vault that the service's code stands for.
func theirs(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	var ours error
	switch e.Code {
	case "VERSION_EXPIRED":
		ours = vault.ErrVersionRetired
	case "SECRET_EXISTS":
		ours = vault.ErrExists
	case "PATH_CONFLICT":
		ours = vault.ErrPathConflict
	case "BUSY":
		ours = vault.ErrBusy
	case "STORAGE_READ_ONLY":
		ours = vault.ErrReadOnly
	case "STORAGE_FULL":
		ours = vault.ErrStorageFull
	case "STORAGE_FAILED":
		ours = vault.ErrStorageFailed
	default:
		ours = elsewhere(err, e)
	}
	if ours == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ours, err)
}

// elsewhere is the error of package vault for what concerns the way to the service,
// or this client's standing there; nil for what does not.
func elsewhere(err error, e *Error) error {
	pending, waits := errors.AsType[*ApprovalPendingError](err)
	limited, _ := errors.AsType[*RateLimitError](err)
	switch {
	case errors.Is(err, ErrNotFound):
		return vault.ErrNotFound
	case waits:
		return &vault.RefusedError{Code: e.Code, Approval: pending.ApprovalRequestID}
	case limited != nil:
		return &vault.RefusedError{Code: e.Code, RetryAfter: max(limited.RetryAfter, time.Second)}
	case e.StatusCode >= 400 && e.StatusCode <= 499:
		return &vault.RefusedError{Code: e.Code}
	case errors.Is(err, ErrNetwork), e.StatusCode != 0:
		return vault.ErrUnreachable
	default: // nothing was sent
		return nil
	}
}
