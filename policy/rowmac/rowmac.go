// Package rowmac authenticates rows of the state database whose columns stand
// in clear, so that somebody who can write the file cannot write a row that
// counts.
//
// The one rule: a row whose columns are not exactly those that this desk wrote,
// in that table, does not check.
//
//	rows := rowmac.New(key)                     // 32 random bytes, sealed by the vault's keyring
//	fields := rowmac.Row("agents").Text(name).Bytes(hash).Int(created)
//	tx.Exec("INSERT … mac = ?", rows.Sum(fields))
//	…
//	if !rows.Check(fields, mac) {
//		return rowmac.Damaged("agent", name)    // never "no such agent"
//	}
//
// A MAC is HMAC-SHA-256 (RFC 2104), 32 bytes, over
//
//	"coatcheck.row.v1" | table | column 1 | column 2 | …
//
// where the table's name is written as a text column is, and the columns stand
// in the order that the table's package documents:
//
//	0x00                                     NULL
//	0x01 | 8 bytes                           integer, big-endian two's complement
//	0x02 | length, 8 bytes big-endian | text text, its bytes in UTF-8
//	0x03 | length, 8 bytes big-endian | data blob
//
// Each column says its own length, so two different rows have no message in
// common, nor have rows of two tables.
//
// Choice: HMAC of the standard library. Tink's MAC would add its prefix, a
// keyset and an allocation for each of them to every row; there is one key for
// the life of a vault and it is sealed where the log's key is. Sealing the rows
// as the vault seals its records was rejected: the database must count, sort
// and expire by these columns.
//
// What it does not do: it does not tell an old row from the present one. Who
// can write the file can put back a row as it was earlier, and can remove rows.
package rowmac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Key makes and checks MACs. It is safe for concurrent use.
type Key struct {
	// An HMAC that was used once starts anew without hashing its key again.
	ready sync.Pool
}

// New returns the Key of these bytes, which it copies.
func New(key [KeySize]byte) *Key {
	k := &Key{}
	k.ready.New = func() any { return hmac.New(sha256.New, key[:]) }
	return k
}

// Fields is one row, ready for [Key.Sum] and [Key.Check].
type Fields []byte

const label = "coatcheck.row.v1"

// Row starts the row of a table.
func Row(table string) Fields {
	return append(make(Fields, 0, 768), label...).Text(table)
}

// Int adds an integer column.
func (f Fields) Int(n int64) Fields {
	return binary.BigEndian.AppendUint64(append(f, 1), uint64(n)) //nolint:gosec // the same 64 bits
}

// Text adds a text column.
func (f Fields) Text(s string) Fields {
	return append(binary.BigEndian.AppendUint64(append(f, 2), uint64(len(s))), s...)
}

// Bytes adds a blob column; nil is NULL and differs from an empty blob.
func (f Fields) Bytes(b []byte) Fields {
	if b == nil {
		return append(f, 0)
	}
	return append(binary.BigEndian.AppendUint64(append(f, 3), uint64(len(b))), b...)
}

// Sum returns the MAC of a row.
func (k *Key) Sum(f Fields) []byte {
	h := k.ready.Get().(hash.Hash)
	defer k.ready.Put(h)
	h.Reset()
	h.Write(f) // never fails (hash.Hash)
	return h.Sum(nil)
}

// Check reports whether mac is the MAC of a row, in time that does not depend
// on where they differ.
func (k *Key) Check(f Fields, mac []byte) bool { return hmac.Equal(k.Sum(f), mac) }

// Damaged is the error for a row that does not check: [vault.ErrCorrupt] with
// what the row is of and which one, escaped.
func Damaged(what, id string) error {
	return fmt.Errorf("%w: %s %q is not as this desk wrote it", vault.ErrCorrupt, what, id)
}
