package approval

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the table of requests. scopes, details and votes are the
// JSON of []string, []Detail and []Vote; delay and expires are microseconds;
// state is a [Status], [Pending] also for what is approved or expired by time
// alone. mac authenticates what stands before it, in its order (package rowmac).
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{{Name: "approval/1", SQL: []string{
		`CREATE TABLE approvals (
			seq         {key}  NOT NULL PRIMARY KEY,
			id          {text} NOT NULL UNIQUE,
			digest      {blob} NOT NULL,
			requester   TEXT   NOT NULL,
			agent       TEXT   NOT NULL,
			action      TEXT   NOT NULL,
			path        TEXT   NOT NULL,
			scopes      TEXT   NOT NULL,
			tier        TEXT   NOT NULL,
			details     TEXT   NOT NULL,
			description TEXT   NOT NULL,
			client      TEXT   NOT NULL,
			addr        TEXT   NOT NULL,
			rule        TEXT   NOT NULL,
			quorum      BIGINT NOT NULL,
			delay       BIGINT NOT NULL,
			expires     BIGINT NOT NULL,
			state       TEXT   NOT NULL,
			votes       TEXT   NOT NULL,
			created_at  BIGINT NOT NULL,
			expires_at  BIGINT NOT NULL,
			decided_at  BIGINT NOT NULL,
			ready_at    BIGINT NOT NULL,
			used_at     BIGINT NOT NULL,
			mac         {blob} NOT NULL
		)`,
		`CREATE INDEX approvals_same ON approvals (requester, digest)`,
		`CREATE INDEX approvals_open ON approvals (state, expires_at)`,
	}}, {Name: "approval/2", SQL: []string{ // so that a list of one's own reads nobody else's
		`CREATE INDEX approvals_by_requester ON approvals (requester, seq)`,
		`CREATE INDEX approvals_by_agent ON approvals (agent, seq)`,
	}}}
}

// columns is what [row.scan] reads, in its order.
const columns = `seq, id, digest, requester, agent, action, path, scopes, tier, details, description, client, addr, rule,
	quorum, delay, expires, state, votes, created_at, expires_at, decided_at, ready_at, used_at, mac`

// row is a request as it is stored; its Status is the column state. Only Seq and
// ID of a damaged one are set.
type row struct {
	Request
	digest, scopes, details, votes           []byte
	delay, period                            int64
	created, expires, decided, ready, usedAt int64
	mac                                      []byte
}

func (r *row) scan(scan func(...any) error) error {
	return scan(&r.Seq, &r.ID, &r.digest, &r.Requester, &r.Agent, &r.Action, &r.Path, &r.scopes, &r.Tier, &r.details,
		&r.Description, &r.Client, &r.Addr, &r.Rule, &r.Quorum, &r.delay, &r.period, &r.Status, &r.votes,
		&r.created, &r.expires, &r.decided, &r.ready, &r.usedAt, &r.mac)
}

func (r *row) fields() rowmac.Fields {
	return rowmac.Row("approvals").Int(r.Seq).Text(r.ID).Bytes(r.digest).Text(r.Requester).Text(r.Agent).
		Text(string(r.Action)).Text(string(r.Path)).Text(string(r.scopes)).Text(string(r.Tier)).Text(string(r.details)).
		Text(r.Description).Text(r.Client).Text(r.Addr).Text(r.Rule).
		Int(int64(r.Quorum)).Int(r.delay).Int(r.period).Text(string(r.Status)).Text(string(r.votes)).
		Int(r.created).Int(r.expires).Int(r.decided).Int(r.ready).Int(r.usedAt)
}

// open checks and completes what was scanned; ok is false when it is damaged.
func (s *Store) open(r *row) (ok bool) {
	if !s.rows.Check(r.fields(), r.mac) {
		return false
	}
	copy(r.Digest[:], r.digest)
	r.Delay, r.Expires = time.Duration(r.delay)*time.Microsecond, time.Duration(r.period)*time.Microsecond
	return errors.Join(json.Unmarshal(r.scopes, &r.Scopes), json.Unmarshal(r.details, &r.Details), json.Unmarshal(r.votes, &r.Votes)) == nil
}

// each calls fn for the rows that fit a condition, damaged ones included, until
// it returns an error.
func (s *Store) each(tx *sqldb.Tx, where string, args []any, fn func(*row) error) error {
	return tx.Query(`SELECT `+columns+` FROM approvals WHERE `+where, args, func(scan func(...any) error) error {
		var r row
		err := r.scan(scan)
		if err != nil && !errors.Is(err, vault.ErrCorrupt) {
			return err
		}
		if err != nil || !s.open(&r) {
			r = row{Request: Request{Seq: r.Seq, ID: r.ID, Damaged: true}}
		}
		return fn(&r)
	})
}

func (s *Store) all(tx *sqldb.Tx, where string, args ...any) (found []row, err error) {
	err = s.each(tx, where, args, func(r *row) error { found = append(found, *r); return nil })
	return found, err
}

// one returns the request with an id. Errors: [ErrUnknown], and
// [vault.ErrCorrupt] with its Seq and ID.
func (s *Store) one(tx *sqldb.Tx, id string) (row, error) {
	found, err := s.all(tx, `id = ?`, id)
	switch {
	case err != nil:
		return row{}, err
	case len(found) == 0:
		return row{}, ErrUnknown
	}
	return found[0], found[0].damage()
}

func (r *row) damage() error {
	if r.Damaged {
		return rowmac.Damaged("approval", r.ID)
	}
	return nil
}

func (s *Store) insert(tx *sqldb.Tx, r *row) (err error) {
	if err = tx.QueryRow(`SELECT coalesce(max(seq), 0) + 1 FROM approvals`).Scan(&r.Seq); err != nil {
		return err
	}
	for _, f := range [...]struct {
		text *[]byte
		of   any
	}{{&r.scopes, r.Scopes}, {&r.details, r.Details}, {&r.votes, r.Votes}} {
		if *f.text, err = json.Marshal(f.of); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO approvals (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Seq, r.ID, r.digest, r.Requester, r.Agent, string(r.Action), string(r.Path), string(r.scopes), string(r.Tier), string(r.details),
		r.Description, r.Client, r.Addr, r.Rule, r.Quorum, r.delay, r.period, string(r.Status), string(r.votes),
		r.created, r.expires, r.decided, r.ready, r.usedAt, s.rows.Sum(r.fields()))
	return err
}

// update writes the columns that ever change, over the row that was read and no
// other.
func (s *Store) update(tx *sqldb.Tx, r *row) (err error) {
	if r.votes, err = json.Marshal(r.Votes); err != nil {
		return err
	}
	read := r.mac
	r.mac = s.rows.Sum(r.fields())
	n, err := tx.Exec(`UPDATE approvals SET state = ?, votes = ?, expires_at = ?, decided_at = ?, ready_at = ?, used_at = ?, mac = ? WHERE id = ? AND mac = ?`,
		string(r.Status), string(r.votes), r.expires, r.decided, r.ready, r.usedAt, r.mac, r.ID, read)
	if err == nil && n != 1 {
		err = rowmac.Damaged("approval", r.ID) // cannot be, within one transaction
	}
	return err
}

// remove deletes a damaged request.
func remove(tx *sqldb.Tx, r *row) error {
	_, err := tx.Exec(`DELETE FROM approvals WHERE seq = ?`, r.Seq)
	return err
}

// latest is the latest time that the request has seen.
func (r *row) latest() int64 {
	t := r.created
	for _, v := range r.Votes {
		t = max(t, sqldb.Micros(v.At))
	}
	return t
}

// moment is now, and not before what the request has seen.
func (r *row) moment(now time.Time) int64 { return max(sqldb.Micros(now), r.latest()) }

// over reports whether its time is over, or has not come yet: then it was made
// under a clock that was ahead.
func (r *row) over(now time.Time) bool {
	return sqldb.Micros(now) >= r.expires || r.latest() > sqldb.Micros(now.Add(maxSkew))
}

func (r *row) status(now time.Time) Status {
	switch {
	case r.Status != Pending:
		return r.Status
	case r.over(now):
		return Expired
	case r.ready != 0 && sqldb.Micros(now) >= r.ready:
		return Approved
	default:
		return Pending
	}
}

// request is the row as it is shown.
func (r *row) request(now time.Time) Request {
	q := r.Request
	if q.Damaged {
		return q
	}
	q.Status = r.status(now)
	q.CreatedAt, q.ExpiresAt, q.DecidedAt = sqldb.Time(r.created), sqldb.Time(r.expires), sqldb.Time(r.decided)
	q.ReadyAt, q.UsedAt = sqldb.Time(r.ready), sqldb.Time(r.usedAt)
	return q
}
