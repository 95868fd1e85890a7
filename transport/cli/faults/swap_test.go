package faults_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table is one table with all of its rows.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

// authenticated are the tables of which broker.OpenRows tells what authenticates
// them.
var authenticated = []string{
	"accesses", "activity", "admins", "agents", "approvals", "audit_checkpoints", "audit_keys", "audit_leaves", "audit_tiles", "clock", "handles", "overlay", "rates",
	"tokens", "vault_keyring", "vault_secrets", "vault_versions", "webhooks",
}

// exchangeRows exchanges, between each two rows of each table that there
// is, each column, and with -faults.every each two. Exchanging the others is the
// same.
func exchangeRows(t *testing.T, p *place) {
	t.Helper()
	good := p.good("vault.db")
	path := filepath.Join(p.dir, "vault.db")
	tables := tablesOf(t, filepath.Join(p.s.dir, "vault.db"))
	for _, tb := range tables {
		if !slices.Contains(authenticated, tb.name) {
			t.Errorf("table %s is new: say at broker.OpenRows what authenticates it, and ask for it in facts_test.go", tb.name)
		}
	}
	exchanges, refused := 0, 0
	for _, tb := range tables {
		for i := range tb.rows {
			for j := range i {
				if !*every && len(tb.rows) > 8 && (i+j)%5 != 0 { // the record is long; a sample
					continue
				}
				for _, columns := range choices(len(tb.columns), *every) {
					if err := os.WriteFile(path, good, 0o600); err != nil {
						t.Fatal(err)
					}
					if !exchange(t, path, tb, i, j, columns) {
						refused++
						continue
					}
					exchanges++
					p.ask(fmt.Sprintf("%s, rows %d and %d, columns %v of %v", tb.name, i, j, columns, tb.columns))
				}
			}
		}
	}
	t.Logf("%d tables, %d exchanges, %d without a consequence; %d were against a constraint", len(tables), exchanges, p.quiet, refused)
	if len(tables) < 10 || exchanges < 100 {
		t.Error("too little was exchanged")
	}
}

// choices are the sets of one, and with pairs of two, of n columns.
func choices(n int, pairs bool) (sets [][]int) {
	for i := range n {
		sets = append(sets, []int{i})
		for j := range i {
			if pairs {
				sets = append(sets, []int{j, i})
			}
		}
	}
	return sets
}

// tablesOf reads every table of a database.
func tablesOf(t *testing.T, path string) (tables []table) {
	t.Helper()
	db := openSQL(t, path)
	defer db.Close() //nolint:errcheck // read only
	names := column(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
	for _, name := range names {
		tables = append(tables, tableOf(t, db, name))
	}
	return tables
}

func tableOf(t *testing.T, db *sql.DB, name string) table {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	tb := table{name: name}
	if tb.columns, err = rows.Columns(); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, into := make([]any, len(tb.columns)), make([]any, len(tb.columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		tb.rows = append(tb.rows, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return tb
}

func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// exchange writes a table with columns of two rows exchanged; false when a
// constraint of the table is against it.
func exchange(t *testing.T, path string, tb table, i, j int, columns []int) bool {
	t.Helper()
	db := openSQL(t, path)
	defer db.Close() //nolint:errcheck // the file is thrown away
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to undo
	if _, err := tx.ExecContext(t.Context(), "DELETE FROM "+tb.name); err != nil {
		t.Fatal(err)
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(tb.columns)), ", ")
	for at, row := range tb.rows {
		other := at
		switch at {
		case i:
			other = j
		case j:
			other = i
		}
		values := append([]any{}, row...)
		for _, c := range columns {
			values[c] = tb.rows[other][c]
		}
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO "+tb.name+" VALUES ("+marks+")", values...); err != nil {
			return false
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return true
}
