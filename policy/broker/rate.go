package broker

import (
	"fmt"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations returns the broker's own tables: accesses (see accesses.go), activity (see activity.go), webhooks (see
// webhooks.go), and for each principal and rule the
// theoretical arrival time of the generic cell rate algorithm (ITU-T I.371), in
// microseconds. One row holds the whole history of a rate.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{{Name: "broker/1", SQL: []string{
		`CREATE TABLE rates (
			principal TEXT NOT NULL,
			rule      TEXT NOT NULL,
			arrival   BIGINT NOT NULL,
			PRIMARY KEY (principal, rule)
		)`,
	}}, {Name: "broker/2", SQL: []string{
		`CREATE TABLE accesses (path {text} NOT NULL PRIMARY KEY, at BIGINT NOT NULL) {clustered}`,
	}}, {Name: "broker/3", SQL: []string{
		`CREATE TABLE webhooks (
			id       {text} NOT NULL PRIMARY KEY,
			sent     BIGINT NOT NULL,
			failures BIGINT NOT NULL,
			due      BIGINT NOT NULL,
			holder   TEXT   NOT NULL,
			until    BIGINT NOT NULL
		) {clustered}`,
	}}, {Name: "broker/4", SQL: []string{
		`CREATE TABLE activity (agent {text} NOT NULL PRIMARY KEY, at BIGINT NOT NULL) {clustered}`,
	}}}
}

// spendUse counts one opening or change of a secret: a permit of the rule's rate,
// and a use of a token that has a number of them.
func (b *Broker) spendUse(tx *sqldb.Tx, who identity.Principal, d policy.Decision, now time.Time) error {
	if err := b.spendRate(tx, who, d, now); err != nil || who.Kind != identity.ScopedToken {
		return err
	}
	return b.c.Agents.SpendToken(tx, who, 1, now)
}

// spendRate takes one permit of the rule's rate, or refuses. A rate of N per
// period lets N through at once and then one each period/N, over all processes
// that share the state database, and over all tokens of an agent. Issuing a handle and using one take a permit each.
func (b *Broker) spendRate(tx *sqldb.Tx, who identity.Principal, d policy.Decision, now time.Time) error {
	rate := d.Limits.Rate
	if rate.Count == 0 {
		return nil
	}
	at, period := now.UnixMicro(), rate.Per.Microseconds()
	step := max(period/int64(rate.Count), 1)
	// A permit is there while the arrival time is less than a period ahead. It may be
	// further ahead, since this call may be earlier than the last that was counted:
	// it waited for its turn to write, or its desk reads another clock. What no such
	// call can explain was made before the clock was set back, and counts for nothing.
	wrong := at + period + clock.Tolerance.Microseconds()
	n, err := tx.Exec(`INSERT INTO rates (principal, rule, arrival) VALUES (?, ?, ?)
		ON CONFLICT (principal, rule) DO UPDATE
		SET arrival = CASE WHEN rates.arrival > ? AND rates.arrival <= ? THEN rates.arrival ELSE ? END + ?
		WHERE rates.arrival <= ? OR rates.arrival > ?`,
		agentOf(who), d.Rule, at+step, at, at+period, at, step, at+period-step, wrong)
	if err != nil {
		return err
	}
	if n == 0 {
		return &Denied{
			Code: RateLimited, Rule: d.Rule,
			Reason: fmt.Sprintf("The rule allows %d calls per %s, and they are used up.", rate.Count, rate.Per),
			Next:   "Wait and try again.", RetryAfter: time.Duration(step) * time.Microsecond,
		}
	}
	return nil
}
