package rowmac_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func key(b byte) *rowmac.Key { return rowmac.New([rowmac.KeySize]byte{b}) }

// TestTheEncodingIsAsDocumented writes a message out by hand.
func TestTheEncodingIsAsDocumented(t *testing.T) {
	message, err := hex.DecodeString(strings.ReplaceAll(""+
		"636f6174636865636b2e726f772e7631"+ // coatcheck.row.v1
		"02 0000000000000001 74"+ // t
		"01 fffffffffffffffe"+ // -2
		"02 0000000000000000"+ // ""
		"02 0000000000000002 c3bc"+ // ü
		"00"+ // NULL
		"03 0000000000000000"+ // x''
		"03 0000000000000001 ff", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, append([]byte{7}, make([]byte, 31)...))
	mac.Write(message)
	fields := rowmac.Row("t").Int(-2).Text("").Text("ü").Bytes(nil).Bytes([]byte{}).Bytes([]byte{0xff})
	if got := key(7).Sum(fields); !hmac.Equal(got, mac.Sum(nil)) {
		t.Errorf("message %x, MAC %x", []byte(fields), got)
	}
}

// TestNoTwoRowsAreAlike: what differs in a key, a table, a column or its kind
// has another MAC.
func TestNoTwoRowsAreAlike(t *testing.T) {
	rows := map[string]rowmac.Fields{
		"table":         rowmac.Row("u").Text("ab").Text("c"),
		"row":           rowmac.Row("t").Text("ab").Text("c"),
		"border moved":  rowmac.Row("t").Text("a").Text("bc"),
		"one column":    rowmac.Row("t").Text("abc"),
		"into table":    rowmac.Row("tab").Text("c"),
		"blob":          rowmac.Row("t").Text("ab").Bytes([]byte("c")),
		"empty text":    rowmac.Row("t").Text("ab").Text(""),
		"empty blob":    rowmac.Row("t").Text("ab").Bytes([]byte{}),
		"null":          rowmac.Row("t").Text("ab").Bytes(nil),
		"zero":          rowmac.Row("t").Text("ab").Int(0),
		"one":           rowmac.Row("t").Text("ab").Int(1),
		"minus one":     rowmac.Row("t").Text("ab").Int(-1),
		"nothing":       rowmac.Row("t"),
		"one more null": rowmac.Row("t").Text("ab").Text("c").Bytes(nil),
	}
	k := key(1)
	for name, row := range rows {
		mac := k.Sum(row)
		for other, fields := range rows {
			if got := k.Check(fields, mac); got != (name == other) {
				t.Errorf("%s checks as %s: %v", name, other, got)
			}
		}
		if key(2).Check(row, mac) {
			t.Errorf("%s checks under another key", name)
		}
		for _, bad := range [][]byte{nil, {}, mac[:31], append(mac[:32:32], 0)} {
			if k.Check(row, bad) {
				t.Errorf("%s checks with %d bytes of MAC", name, len(bad))
			}
		}
	}
}

func TestDamagedNamesTheRowEscaped(t *testing.T) {
	err := rowmac.Damaged("agent", "a\x1b[2J\n")
	if !errors.Is(err, vault.ErrCorrupt) || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%q", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	k := key(3)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				f := rowmac.Row("t").Text(fmt.Sprint(i, j))
				if mac := k.Sum(f); !k.Check(f, mac) {
					t.Error("does not check")
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRow is what a row of the size of a handle costs to check and sum anew.
func BenchmarkRow(b *testing.B) {
	k := key(1)
	hash := make([]byte, 32)
	destinations := strings.Repeat("x", 160)
	row := func(used int64) rowmac.Fields {
		return rowmac.Row("handles").Text("h_0123456789").Bytes(hash).Text("agent:claude").Text("production/openai/api-key").
			Int(0).Text(destinations).Text("").Text("inference").Text("").Int(1).Int(2).Int(3).Int(4).Int(used)
	}
	mac := k.Sum(row(0))
	b.ReportAllocs()
	for b.Loop() {
		if !k.Check(row(0), mac) {
			b.Fatal("does not check")
		}
		k.Sum(row(1))
	}
}
