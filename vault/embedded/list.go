package embedded

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Cursors are sealed, so that the vault knows its own: unpadded base64url of
// the sealed text FIRST|PATH, the decimal first version and the path of the last
// secret shown. The purpose tells cursors of the trash from others.
const (
	liveCursor  = "cursor"
	trashCursor = "cursor of the trash"
)

func (w view) list(q vault.Query) (vault.Page, error) {
	purpose := liveCursor
	if q.Deleted {
		purpose = trashCursor
	}
	after, afterFirst, err := w.openCursor(purpose, q.After)
	if err != nil {
		return vault.Page{}, err
	}
	low, high := prefixRange(q.Prefix)
	limit := pageSize(q.Limit)
	query, args := "SELECT path, first, deleted_at, record FROM vault_secrets WHERE deleted_at = 0 AND path >= ? AND path < ? AND path > ? ORDER BY path LIMIT ?",
		[]any{low, high, after, limit + 1}
	if q.Deleted {
		// Deleted ones of one path stand in the order of their versions. What
		// can no longer be restored is not shown, purged or not.
		query, args = "SELECT path, first, deleted_at, record FROM vault_secrets WHERE deleted_at <> 0 AND path >= ? AND path < ? AND (path, first) > (?, ?) AND deleted_at > ? ORDER BY path, first LIMIT ?",
			[]any{low, high, after, afterFirst, sqldb.Micros(w.now.Add(-vault.TrashRetention)), limit + 1}
	}
	var page vault.Page
	var last row
	more := false
	err = w.tx.Query(query, args, func(scan func(...any) error) error {
		if more = len(page.Items) == limit; more {
			return nil
		}
		var path string
		var first int
		var deletedAt int64
		var sealed []byte
		if err := scan(&path, &first, &deletedAt, &sealed); err != nil {
			return err
		}
		if last, err = w.keys.openRecord(w.tx, path, first, deletedAt, sealed); err != nil {
			return err
		}
		page.Items = append(page.Items, last.Metadata)
		return nil
	})
	if err == nil && more {
		page.Next, err = w.sealCursor(purpose, last)
	}
	if err != nil {
		return vault.Page{}, err
	}
	return page, nil
}

func pageSize(limit int) int {
	switch {
	case limit <= 0:
		return vault.DefaultPageSize
	default:
		return min(limit, vault.MaxPageSize)
	}
}

// prefixRange returns the half-open range of paths that start with prefix:
// every byte of a path is below DEL.
func prefixRange(prefix string) (low, high string) { return prefix, prefix + "\x7f" }

func (w view) sealCursor(purpose string, last row) (string, error) {
	sealed, err := w.keys.Seal(w.tx, purpose, fmt.Appendf(nil, "%d|%s", last.first, last.Path))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (w view) openCursor(purpose, cursor string) (path string, first int, err error) {
	if cursor == "" {
		return "", 0, nil
	}
	var plain []byte
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil {
		plain, err = w.keys.Unseal(w.tx, purpose, sealed)
		if err != nil && !errors.Is(err, vault.ErrCorrupt) {
			return "", 0, err
		}
	}
	number, path, _ := strings.Cut(string(plain), "|")
	if err == nil {
		first, err = strconv.Atoi(number)
	}
	if err != nil {
		return "", 0, &vault.InvalidError{Field: "cursor", Rule: "was not made by this vault for this list"}
	}
	return path, first, nil
}
