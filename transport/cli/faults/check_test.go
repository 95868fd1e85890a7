package faults_test

import (
	"database/sql"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	_ "modernc.org/sqlite" // what is in a database is read beside the program

	"github.com/coatcheck-dev/coatcheck/policy/audit"
)

// check holds what is left against what was acknowledged and what arrived.
func (r *rig) check(t *testing.T, paths map[string]belief) {
	t.Helper()
	r.must(t, 0, "", "audit", "verify")
	r.must(t, 0, "", "doctor")
	for path, b := range paths {
		got, err := r.run(t.Context(), "", "secret", "get", path)
		if err != nil || got.code != 0 && got.code != 4 {
			t.Fatal(got, err)
		}
		if len(b.narrow(got.out)) == 0 {
			t.Errorf("%s holds %q, which is none of %+v", path, got.out, b)
		}
	}
	intents, issued, used := r.read(t)
	for _, id := range r.issued {
		if !issued[id] {
			t.Errorf("handle %s was given out and is not on record", id)
		}
	}
	for try, ok := range r.acked {
		if _, arrived := r.arrivals[try]; ok && !arrived {
			t.Errorf("%s was answered and did not arrive", try)
		}
	}
	for _, try := range r.twice {
		t.Errorf("%s arrived twice", try)
	}
	perTicket := map[string]int{}
	for try, value := range r.arrivals {
		if intents[try] != 1 {
			t.Errorf("%s arrived with %d intents on record", try, intents[try])
		}
		if !r.values[value] {
			t.Errorf("%s arrived with a value that was never set", try)
		}
	}
	for try := range intents {
		perTicket[strings.Split(try, "/")[2]]++
	}
	for number, uses := range r.uses {
		count, there := used[r.ids[number]]
		if got := perTicket[strconv.Itoa(number)]; got > uses || there && got != count {
			t.Errorf("handle %d of %d uses: %d intents, %d counted", number, uses, got, count)
		}
		if there {
			at := time.Since(r.began).Nanoseconds()
			r.history = append(r.history, porcupine.Operation{Input: spending{number, true}, Output: spent{used: count}, Call: at, Return: 2 * time.Hour.Nanoseconds()})
		}
	}
	if got := linearizable(r.uses, r.history); got != porcupine.Ok {
		t.Errorf("the counts of uses are not those of any order: %s", got)
	}
}

// read returns from the database how many intents each try has, which handles
// were issued, and how often each was used.
func (r *rig) read(t *testing.T) (intents map[string]int, issued map[string]bool, used map[string]int) {
	t.Helper()
	intents, issued = map[string]int{}, map[string]bool{}
	db, err := sql.Open("sqlite", r.path("vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	leaves := rowsOf(t, db, "SELECT leaf, 0 FROM audit_leaves")
	for leaf := range leaves {
		e, err := audit.Decode([]byte(leaf))
		if err != nil {
			t.Fatal(err)
		}
		switch e.Event {
		case "handle.issued":
			issued[e.Handle] = issued[e.Handle] || e.Outcome == audit.OK
		case "handle.used":
			if e.Outcome == audit.Intent {
				_, path, _ := strings.Cut(strings.TrimPrefix(e.Target, "GET http://"), "/")
				intents["/"+path]++
			}
		}
	}
	return intents, issued, rowsOf(t, db, "SELECT id, used FROM handles")
}

func rowsOf(t *testing.T, db *sql.DB, query string) map[string]int {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	found := map[string]int{}
	for rows.Next() {
		var text string
		var n int
		if err := rows.Scan(&text, &n); err != nil {
			t.Fatal(err)
		}
		found[text] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
