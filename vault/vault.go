package vault

import (
	"context"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Latest asks [Vault.Get] for the current version.
const Latest = 0

// Vault is a store of secrets. Implementations are safe for concurrent use and
// pass vaulttest.Run. Methods block on I/O and honour ctx until a change is
// being committed; a nil error means that a change is durable.
type Vault interface {
	// Get returns the value of one version; [Latest] is the current one.
	// Errors: [ErrNotFound], [ErrExpired], [ErrVersionRetired].
	Get(ctx context.Context, p Path, version int) (Secret, error)
	// Describe returns the metadata of a live secret, an expired one included.
	// Errors: [ErrNotFound].
	Describe(ctx context.Context, p Path) (Metadata, error)
	// List returns one page in byte order of paths.
	// Errors: *[InvalidError] for a cursor the vault did not make.
	List(ctx context.Context, q Query) (Page, error)
	// Put creates a secret or changes one, as c says.
	// Errors: *[InvalidError], [ErrExists], [ErrNotFound], [ErrPathConflict].
	Put(ctx context.Context, p Path, c Change) (Metadata, error)
	// Delete moves a secret to the trash for [TrashRetention], or with
	// permanent destroys it at once, from the trash too.
	// Errors: [ErrNotFound].
	Delete(ctx context.Context, p Path, permanent bool) error
	// Close releases the vault and waits for what it started.
	Close() error
}

// Restorer is a Vault with a trash.
type Restorer interface {
	// Restore brings back the most recently deleted secret of that path with
	// every version. Errors: [ErrNotFound], [ErrExists], [ErrPathConflict].
	Restore(ctx context.Context, p Path) (Metadata, error)
}

// Historian is a Vault that lists versions.
type Historian interface {
	// History returns every version kept of a live secret, newest first.
	// Errors: [ErrNotFound].
	History(ctx context.Context, p Path) ([]Version, error)
}

// View is a vault inside one transaction of the state database: what it reads
// and writes is committed or undone with the rest. Methods behave as those of
// [Vault], [Restorer] and [Historian].
type View interface {
	Get(p Path, version int) (Secret, error)
	Describe(p Path) (Metadata, error)
	Put(p Path, c Change) (Metadata, error)
	Delete(p Path, permanent bool) error
	Restore(p Path) (Metadata, error)
	History(p Path) ([]Version, error)
}

// Mode says whether a [Change] may create, replace, or both.
type Mode int

// The modes of a [Change].
const (
	Upsert  Mode = iota // create or change
	Create              // [ErrExists] when the path has a live secret
	Replace             // [ErrNotFound] when it has none
)

// Change is what [Vault.Put] does. Zero fields keep what is there; on a new
// secret they mean the default. Creating needs a Value.
type Change struct {
	Mode         Mode
	Value        secret.Value       // not empty: becomes the next version, at most [MaxValueBytes]
	Type         *Type              // default [Custom]
	Tier         *Tier              // default [Standard]
	Description  *string            // at most [MaxDescriptionBytes] of printable UTF-8
	Tags         *map[string]string // replaces all tags
	Extra        *string            // replaces it, as [ParseExtra] reads it; "" clears it
	Destinations *[]Destination     // replaces all destinations
	Generate     *Recipe            // "" clears it
	ExpiresAt    *time.Time         // a zero time clears the expiry; a past one is refused
	// Grace makes the change a rotation: versions before the new one stop being
	// readable by number this long from now, 0 at once; at most [MaxGrace].
	// Nil leaves them readable.
	Grace *time.Duration
}

// MaxGrace is the longest overlap of two versions.
const MaxGrace = 30 * 24 * time.Hour

// Page sizes of [Vault.List] (CONTRACT §6).
const (
	DefaultPageSize = 50
	MaxPageSize     = 200
)

// Query selects a page of secrets.
type Query struct {
	Prefix  string // literal text that paths start with; "" is everything
	After   string // the cursor of the page before; "" starts
	Limit   int    // 0 is [DefaultPageSize]; more than [MaxPageSize] is clamped
	Deleted bool   // list the trash instead of live secrets
}

// Page is one page of metadata.
type Page struct {
	Items []Metadata
	Next  string // cursor of the next page, "" at the end
}
