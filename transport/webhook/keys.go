package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const (
	keyPrefix = "whsec_"
	minKey    = 24 // bytes, as is maxKey; Standard Webhooks, "Signature scheme"
	maxKey    = 64
	maxKeys   = 4 // that sign one message: the current one and those in grace
)

// errKey means that a value is no key.
var errKey = errors.New("is not whsec_ and 24 to 64 bytes in base64")

// keys are the keys that sign for a webhook, read from the vault.
type keys struct {
	values  []secret.Value // the current version first
	version int            // the current one, and when it was made
	made    time.Time
	until   time.Time // when one of them is no longer valid; zero: never
}

// refreshKeys reads the keys anew if the secret has changed, or was not read yet.
func (h *hook) refreshKeys(ctx context.Context) error {
	meta, err := h.desk.Describe(ctx, h.who, h.target.Secret)
	if err != nil {
		return err
	}
	k := &h.keys
	if len(k.values) > 0 && k.version == meta.Version && k.made.Equal(meta.UpdatedAt) && (k.until.IsZero() || h.opts.Now().Before(k.until)) {
		return nil
	}
	history, err := h.desk.History(ctx, h.who, h.target.Secret)
	if errors.Is(err, vault.ErrUnsupported) { // a vault elsewhere that tells of no version but the latest
		history, err = []vault.Version{{Number: vault.Latest, Current: true}}, nil
	}
	if err != nil {
		return err
	}
	fresh := keys{version: meta.Version, made: meta.UpdatedAt}
	for _, v := range history {
		inGrace := v.ReadableUntil.After(h.opts.Now())
		if !v.Current && !inGrace || len(fresh.values) == maxKeys {
			continue
		}
		s, err := h.desk.Reveal(ctx, h.who, h.target.Secret, v.Number)
		if errors.Is(err, vault.ErrVersionRetired) && !v.Current {
			continue
		}
		if err != nil {
			return err
		}
		_, err = sign(s.Value, "", time.Time{}, nil)
		switch {
		case err == nil && v.Current:
			fresh.values = slices.Insert(fresh.values, 0, s.Value)
		case err == nil:
			fresh.values = append(fresh.values, s.Value)
			if fresh.until.IsZero() || v.ReadableUntil.Before(fresh.until) {
				fresh.until = v.ReadableUntil
			}
		case v.Current:
			return err
		}
	}
	if len(fresh.values) == 0 {
		return vault.ErrNotFound
	}
	h.keys = fresh
	return nil
}

// absent tells whether a vault elsewhere may have the key at another time.
func absent(err error) bool {
	refused, ok := errors.AsType[*vault.RefusedError](err)
	return errors.Is(err, vault.ErrUnreachable) || ok && !refused.Final()
}

// signature is the header webhook-signature: one signature a key, parted by
// spaces, so that a receiver verifies with the old key or the new one while a
// rotation's grace lasts.
func (k *keys) signature(id string, at time.Time, body []byte) (string, error) {
	all := make([]string, 0, len(k.values))
	for _, v := range k.values {
		one, err := sign(v, id, at, body)
		if err != nil {
			return "", err
		}
		all = append(all, one)
	}
	return strings.Join(all, " "), nil
}

// sign makes one signature, as v1,BASE64.
func sign(key secret.Value, id string, at time.Time, body []byte) (string, error) {
	text := key.Reveal() //nolint:forbidigo // a webhook's own key, which signs here and goes nowhere
	defer clear(text)
	digits, ok := bytes.CutPrefix(bytes.TrimSpace(text), []byte(keyPrefix))
	if !ok || len(digits) > base64.StdEncoding.EncodedLen(maxKey) {
		return "", errKey
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(digits)))
	defer clear(raw)
	n, err := base64.StdEncoding.Decode(raw, digits)
	if err != nil || n < minKey || n > maxKey {
		return "", errKey
	}
	w, err := standardwebhooks.NewWebhookRaw(raw[:n])
	if err != nil {
		return "", errKey
	}
	return w.Sign(id, at, body)
}

// keyFault says what keeps the webhook of that number from being signed.
func keyFault(number int, path vault.Path, err error) error {
	switch {
	case errors.Is(err, errKey):
		return &TargetError{number, fmt.Sprintf("is signed with %s, which %v", path, errKey), noSecret(path)}
	case errors.Is(err, vault.ErrNotFound):
		return &TargetError{number, fmt.Sprintf("is signed with %s, which is not there", path), noSecret(path)}
	case errors.Is(err, vault.ErrExpired):
		return &TargetError{number, fmt.Sprintf("is signed with %s, which has expired", path), "Run: coatcheck secret rotate " + string(path)}
	default:
		return err
	}
}

func noSecret(path vault.Path) string {
	return fmt.Sprintf("Store one: openssl rand -base64 32 | sed s/^/whsec_/ | coatcheck secret set %s --generate 'whsec_{base62:32}'", path)
}
