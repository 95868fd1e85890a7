package approval

// ListSQL is the query of a list, with its arguments.
func ListSQL(q Query) (string, []any) {
	where, args := q.where()
	return `SELECT ` + columns + ` FROM approvals WHERE ` + where, args
}

// PurgeSQL takes one argument.
const PurgeSQL = purge
