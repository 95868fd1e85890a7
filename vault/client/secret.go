package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Metadata is everything about a secret but its value. Times are UTC.
type Metadata struct {
	Path        string
	Version     int // from 1
	Tier        vault.Tier
	Type        vault.Type
	Description string                     // edition B has none
	Tags        map[string]string          // nil when there are none; the members of edition B's metadata that are text
	Extra       map[string]json.RawMessage // the members that are not; nil when there are none
	Binary      bool                       // the value is not text
	CreatedAt   time.Time
	UpdatedAt   time.Time
	AccessedAt  time.Time // of a secret just read: this reading. Zero: never, or the service does not say
	ExpiresAt   time.Time // zero: never, or the service does not say
	DeletedAt   time.Time // of one in the trash
}

// Secret is a value with its metadata.
type Secret struct {
	Metadata
	Value secret.Value
}

// GetOptions of [Client.GetSecret].
type GetOptions struct {
	Version int // 0 is the latest; edition B has no other
	// Token is a scoped token to use in the place of the agent key. It may be for
	// one use, so the call is not repeated once it may have arrived.
	Token secret.Value
}

// GetSecret returns the value of a secret. Errors: *[NotFoundError],
// *[ApprovalPendingError] when somebody has to approve the reading first, and
// those of every call (see the package comment).
func (c *Client) GetSecret(ctx context.Context, path string, opts *GetOptions) (*Secret, error) {
	var o GetOptions
	if opts != nil {
		o = *opts
	}
	if o.Version < 0 {
		return nil, invalid("version", "is negative")
	}
	e, err := c.about(ctx, path)
	if err != nil {
		return nil, err
	}
	r := &request{method: http.MethodGet, target: secretTarget(e, path), path: path, scope: "secrets:read:" + path, token: o.Token, repeat: true}
	if o.Version > 0 {
		if e == EditionB {
			return nil, unsupported("older versions")
		}
		r.query = url.Values{"version": {strconv.Itoa(o.Version)}}
	}
	var w wireSecret
	a, err := c.do(ctx, e, r, &w)
	if err != nil {
		return nil, err
	}
	switch {
	case w.Value.Given():
	case w.approval() != "":
		return nil, waiting(a.status, w.approval())
	case w.Items != nil: // the path is a namespace
		return nil, &NotFoundError{base{Code: "SECRET_NOT_FOUND", Message: "there are secrets below this path and none at it", StatusCode: a.status}, path}
	default:
		return nil, badAnswer(a.status, "the answer has no value")
	}
	if o.Version > 0 && w.Version != o.Version {
		return nil, badAnswer(a.status, "the answer is another version")
	}
	value, err := w.value()
	if err != nil {
		return nil, badAnswer(a.status, "the value is not in the encoding that the answer names")
	}
	return &Secret{w.meta(path), value}, nil
}

// SetOptions of [Client.SetSecret]. On a secret that exists zero fields keep
// what is there, but for edition B, which takes tier and type as given or as
// their defaults.
type SetOptions struct {
	Tier        vault.Tier                 // default [vault.Standard]
	Type        vault.Type                 // default [vault.Custom]
	Description string                     // edition B has none
	Tags        map[string]string          // replaces all tags; empty and not nil clears them
	Extra       map[string]json.RawMessage // further members of edition B's metadata, replaced with the tags
	ExpiresAt   time.Time                  // edition B has none
}

// SetSecret creates a secret or gives it another value, the next version. It
// returns what the service made of it: coatcheck never lowers a tier for an
// agent, and returns the one that holds. Errors: those of every call.
func (c *Client) SetSecret(ctx context.Context, path string, value secret.Value, opts *SetOptions) (*Metadata, error) {
	e, err := c.about(ctx, path)
	if err != nil {
		return nil, err
	}
	body, err := opts.fields(e)
	if err == nil {
		err = put(body, value, "value", e)
	}
	if err != nil {
		return nil, err
	}
	r := &request{method: http.MethodPut, target: secretTarget(e, path), body: body, path: path, scope: "secrets:write:" + path, sent: []secret.Value{value}, repeat: true}
	var w wireSecret
	if _, err := c.do(ctx, e, r, &w); err != nil {
		return nil, err
	}
	m := w.meta(path)
	m.Binary = !value.IsText()
	return &m, nil
}

// fields returns what the options say in an edition's words.
func (o *SetOptions) fields(e Edition) (map[string]any, error) {
	if o == nil {
		o = &SetOptions{}
	}
	body := map[string]any{}
	tierName, typeName, tags := "tier", "type", "tags"
	if e == EditionB {
		if o.Description != "" {
			return nil, unsupported("descriptions")
		}
		if !o.ExpiresAt.IsZero() {
			return nil, unsupported("expiry")
		}
		tierName, typeName, tags = "access_tier", "secret_type", "metadata"
		body[tierName], body[typeName] = vault.Standard, vault.Custom
	}
	if o.Tier != "" {
		body[tierName] = o.Tier
	}
	if o.Type != "" {
		body[typeName] = o.Type
	}
	if o.Description != "" {
		body["description"] = o.Description
	}
	switch {
	case o.Extra != nil:
		all := make(map[string]any, len(o.Tags)+len(o.Extra))
		for name, member := range o.Extra {
			all[name] = member
		}
		for name, text := range o.Tags {
			all[name] = text
		}
		body["metadata"] = all
	case o.Tags != nil:
		body[tags] = o.Tags
	}
	if !o.ExpiresAt.IsZero() {
		body["expires_at"] = o.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	return body, nil
}

// put adds a value to a body.
func put(body map[string]any, value secret.Value, name string, e Edition) error {
	switch {
	case value.IsZero():
		return invalid("value", "is empty")
	case e == EditionB && !value.IsText():
		return unsupported("values that are not text")
	}
	text, encoding := written(value)
	if body[name] = text; encoding != "" {
		body["encoding"] = encoding
	}
	return nil
}

// RotateOptions of [Client.RotateSecret].
type RotateOptions struct {
	// Grace is how long the version before stays readable by its number, in whole
	// seconds. Zero: not at all. Edition B has none.
	Grace time.Duration
}

// RotateResult of [Client.RotateSecret].
type RotateResult struct {
	NewVersion int       // 0 when the service does not say
	OldVersion int       // 0 likewise
	ExpiresAt  time.Time // when OldVersion ends; zero when the service does not say
}

// RotateSecret replaces the value of a secret that exists. It is never repeated
// once it may have arrived; after an [ErrNetwork] read the secret to see which
// value it has. Edition B lets people alone rotate: there an agent's key gets an
// [ErrPermission], and [Client.SetSecret] is the way. Errors: *[NotFoundError] and
// those of every call.
func (c *Client) RotateSecret(ctx context.Context, path string, newValue secret.Value, opts *RotateOptions) (*RotateResult, error) {
	var o RotateOptions
	if opts != nil {
		o = *opts
	}
	e, err := c.about(ctx, path)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Grace < 0 || o.Grace%time.Second != 0:
		return nil, invalid("grace", "is not a whole number of seconds from 0 up")
	case o.Grace > 0 && e == EditionB:
		return nil, unsupported("grace for old versions")
	}
	r := &request{target: secretTarget(e, path), path: path, scope: "secrets:write:" + path, sent: []secret.Value{newValue}}
	body, name := map[string]any{}, "value"
	if r.method = http.MethodPatch; e == EditionB {
		r.method, r.target, name = http.MethodPost, r.target+"/rotate", "new_value"
	} else {
		body["grace_period_seconds"] = int64(o.Grace / time.Second)
	}
	if err := put(body, newValue, name, e); err != nil {
		return nil, err
	}
	r.body = body
	var w struct {
		Version        int   `json:"version"`
		NewVersion     int   `json:"new_version"`
		OldVersion     int   `json:"old_version"`
		ExpiresAt      stamp `json:"expires_at"`
		GraceExpiresAt stamp `json:"grace_expires_at"`
	}
	if _, err := c.do(ctx, e, r, &w); err != nil {
		return nil, err
	}
	out := &RotateResult{NewVersion: w.NewVersion, OldVersion: w.OldVersion, ExpiresAt: w.GraceExpiresAt.Time}
	if out.NewVersion == 0 {
		out.NewVersion = w.Version
	}
	if out.OldVersion == 0 && out.NewVersion > 1 {
		out.OldVersion = out.NewVersion - 1
	}
	if out.ExpiresAt.IsZero() && e == EditionA {
		out.ExpiresAt = w.ExpiresAt.Time
	}
	return out, nil
}

// DeleteOptions of [Client.DeleteSecret].
type DeleteOptions struct {
	Permanent bool // destroy it, with no way back
}

// DeleteSecret moves a secret to the trash, where it can be restored for 30
// days, or destroys it. Edition B has no trash: there it is refused unless
// Permanent is said. Errors: *[NotFoundError] and those of every call.
func (c *Client) DeleteSecret(ctx context.Context, path string, opts *DeleteOptions) error {
	permanent := opts != nil && opts.Permanent
	e, err := c.about(ctx, path)
	if err != nil {
		return err
	}
	r := &request{method: http.MethodDelete, target: secretTarget(e, path), path: path, scope: "secrets:delete:" + path, repeat: true}
	switch {
	case e == EditionB && !permanent:
		return unsupported("trash: say DeleteOptions.Permanent")
	case permanent && e == EditionA:
		r.query = url.Values{"permanent": {"true"}}
	}
	return c.remove(ctx, e, r)
}

// remove makes a call that deletes. Not to find what an attempt before may have
// deleted is what was wanted.
func (c *Client) remove(ctx context.Context, e Edition, r *request) error {
	a, err := c.authorised(ctx, e, r)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusNotFound && a.again:
		return nil
	case a.status < 200 || a.status > 299:
		return c.failure(r, a)
	}
	return c.pending(r, a)
}

// RestoreSecret brings the secret of that path that was deleted last back from
// the trash, with every version. Edition B has no trash. Errors:
// *[NotFoundError], *[Error] with status 409 when the path is taken, and those of
// every call.
func (c *Client) RestoreSecret(ctx context.Context, path string) (*Metadata, error) {
	e, err := c.about(ctx, path)
	if err == nil && e == EditionB {
		err = unsupported("trash")
	}
	if err != nil {
		return nil, err
	}
	var w wireSecret
	r := &request{method: http.MethodPost, target: secretTarget(e, path) + "/restore", path: path, scope: "secrets:write:" + path}
	if _, err := c.do(ctx, e, r, &w); err != nil {
		return nil, err
	}
	m := w.meta(path)
	return &m, nil
}

// ListVersions returns every version kept of a secret, newest first, without
// values. Edition B has no versions to list. Errors: *[NotFoundError] and those
// of every call.
func (c *Client) ListVersions(ctx context.Context, path string) ([]vault.Version, error) {
	e, err := c.about(ctx, path)
	if err == nil && e == EditionB {
		err = unsupported("older versions")
	}
	if err != nil {
		return nil, err
	}
	var w struct {
		Namespace *string `json:"namespace"` // there in the answer of a list
		Items     few[struct {
			Version       int   `json:"version"`
			CreatedAt     stamp `json:"created_at"`
			Current       bool  `json:"current"`
			ReadableUntil stamp `json:"readable_until"`
		}] `json:"items"`
	}
	r := &request{method: http.MethodGet, target: secretTarget(e, path) + "/versions", path: path, scope: "secrets:read:" + path, repeat: true}
	a, err := c.do(ctx, e, r, &w)
	if err != nil {
		return nil, err
	}
	if w.Items == nil || w.Namespace != nil {
		return nil, badAnswer(a.status, "the answer lists no versions")
	}
	out := make([]vault.Version, len(w.Items))
	for i, v := range w.Items {
		out[i] = vault.Version{Number: v.Version, CreatedAt: v.CreatedAt.Time, Current: v.Current, ReadableUntil: v.ReadableUntil.Time}
	}
	return out, nil
}
