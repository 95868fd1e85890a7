package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Put implements [vault.Vault].
func (v *Vault) Put(ctx context.Context, p vault.Path, c vault.Change) (vault.Metadata, error) {
	if err := sendable(p, c); err != nil {
		return vault.Metadata{}, err
	}
	e, err := v.c.about(ctx, string(p))
	if err != nil {
		return vault.Metadata{}, err
	}
	if e == EditionB {
		return v.set(ctx, p, c)
	}
	m, err := v.put(ctx, p, c)
	if c.Value.IsZero() && c.Mode == vault.Upsert && errors.Is(err, vault.ErrNotFound) {
		return vault.Metadata{}, &vault.InvalidError{Field: "value", Rule: "is empty"}
	}
	return m, err
}

// sendable reports what a change breaks and what the wire has no words for.
func sendable(p vault.Path, c vault.Change) error {
	if _, err := vault.ParsePath(string(p)); err != nil {
		return err
	}
	// As of a secret that exists, which needs no value.
	if _, err := c.Apply(vault.Metadata{Version: 1}, time.Now()); err != nil {
		return err
	}
	switch {
	case c.Destinations != nil && len(*c.Destinations) > 0:
		return unsupported("destinations")
	case c.Generate != nil && *c.Generate != "":
		return unsupported("recipes for values")
	case c.Mode == vault.Create && c.Value.IsZero():
		return &vault.InvalidError{Field: "value", Rule: "is empty"}
	}
	return nil
}

// put makes the requests of one change: a new secret is one, a change of one
// that exists is one for the metadata and one for the value.
func (v *Vault) put(ctx context.Context, p vault.Path, c vault.Change) (m vault.Metadata, err error) {
	path, target := string(p), secretTarget(EditionA, string(p))
	about, err := v.words(ctx, p, c)
	if err != nil {
		return m, err
	}
	valued, alone := !c.Value.IsZero(), len(about) == 0 && c.Grace == nil
	switch {
	case c.Mode == vault.Create, c.Mode == vault.Upsert && valued && !alone:
		if m, err = v.create(ctx, p, c.Value, about); c.Mode == vault.Create || !errors.Is(err, vault.ErrExists) {
			return m, err
		}
	case alone && (c.Mode == vault.Replace || !valued): // nothing that a request says by itself
		if m, err = v.Describe(ctx, p); err != nil {
			return m, err
		}
	}
	if len(about) > 0 {
		if m, err = v.send(ctx, &request{method: http.MethodPatch, target: target, body: about, path: path, repeat: true}); err != nil {
			return m, err
		}
	}
	switch {
	case valued && c.Grace != nil:
		if _, err = v.c.RotateSecret(ctx, path, c.Value, &RotateOptions{Grace: *c.Grace}); err != nil {
			return m, theirs(err)
		}
		return v.Describe(ctx, p)
	case valued:
		body := map[string]any{}
		if err = put(body, c.Value, "value", EditionA); err != nil {
			return m, err
		}
		return v.send(ctx, &request{method: http.MethodPut, target: target, body: body, path: path, sent: []secret.Value{c.Value}, repeat: true})
	}
	return m, nil
}

// create makes a secret where there is none. It is not sent twice: the second
// one would find the first.
func (v *Vault) create(ctx context.Context, p vault.Path, value secret.Value, about map[string]any) (vault.Metadata, error) {
	body := map[string]any{"path": string(p)}
	maps.Copy(body, about)
	if err := put(body, value, "value", EditionA); err != nil {
		return vault.Metadata{}, err
	}
	return v.send(ctx, &request{method: http.MethodPost, target: "/secrets", body: body, path: string(p), sent: []secret.Value{value}})
}

func (v *Vault) send(ctx context.Context, r *request) (vault.Metadata, error) {
	var w wireSecret
	if _, err := v.c.do(ctx, EditionA, r, &w); err != nil {
		return vault.Metadata{}, theirs(err)
	}
	return kept(w.meta(r.path))
}

// words returns what a change says of the metadata, as PATCH and POST take it.
func (v *Vault) words(ctx context.Context, p vault.Path, c vault.Change) (map[string]any, error) {
	about := map[string]any{}
	if c.Type != nil {
		about["type"] = *c.Type
	}
	if c.Tier != nil {
		about["tier"] = *c.Tier
	}
	if c.Description != nil {
		about["description"] = *c.Description
	}
	if c.ExpiresAt != nil {
		if about["expires_at"] = any(nil); !c.ExpiresAt.IsZero() {
			about["expires_at"] = c.ExpiresAt.UTC().Format(time.RFC3339Nano)
		}
	}
	switch {
	case c.Extra != nil: // stands in one object with the tags, those that stay as well
		tags := c.Tags
		if tags == nil && c.Mode != vault.Create {
			old, err := v.Describe(ctx, p)
			if err != nil && !errors.Is(err, vault.ErrNotFound) {
				return nil, err
			}
			tags = &old.Tags
		}
		all := map[string]any{}
		if *c.Extra != "" {
			var extra map[string]json.RawMessage
			if err := json.Unmarshal([]byte(*c.Extra), &extra); err != nil {
				return nil, fmt.Errorf("metadata: %w", err)
			}
			for name, member := range extra {
				all[name] = member
			}
		}
		if tags != nil {
			for name, text := range *tags {
				all[name] = text
			}
		}
		about["metadata"] = all
	case c.Tags != nil:
		about["tags"] = *c.Tags
	}
	return about, nil
}

// set is all that edition B has: a value with the whole of its metadata, which
// falls back to defaults where it is not said.
func (v *Vault) set(ctx context.Context, p vault.Path, c vault.Change) (vault.Metadata, error) {
	switch {
	case c.Value.IsZero():
		return vault.Metadata{}, unsupported("change of metadata alone")
	case c.Grace != nil && *c.Grace != 0:
		return vault.Metadata{}, unsupported("grace for old versions")
	case c.ExpiresAt != nil && !c.ExpiresAt.IsZero():
		return vault.Metadata{}, unsupported("expiry")
	case c.Description != nil && *c.Description != "":
		return vault.Metadata{}, unsupported("descriptions")
	}
	old, err := v.Describe(ctx, p)
	missing := errors.Is(err, vault.ErrNotFound)
	switch {
	case err != nil && !missing, missing && c.Mode == vault.Replace:
		return vault.Metadata{}, err
	case !missing && c.Mode == vault.Create:
		return vault.Metadata{}, vault.ErrExists
	}
	now, err := c.Apply(old, time.Now())
	if err != nil {
		return vault.Metadata{}, err
	}
	o := SetOptions{Tier: now.Tier, Type: now.Type, Tags: now.Tags}
	if now.Extra != "" {
		if err := json.Unmarshal([]byte(now.Extra), &o.Extra); err != nil {
			return vault.Metadata{}, fmt.Errorf("metadata: %w", err)
		}
	}
	m, err := v.c.SetSecret(ctx, string(p), c.Value, &o)
	if err != nil {
		return vault.Metadata{}, theirs(err)
	}
	return kept(*m)
}
