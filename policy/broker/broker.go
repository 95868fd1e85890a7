// Package broker is the one door to a vault: it decides, records and acts, in
// that order, for every tool, route and command.
//
// The one rule: nothing is opened, given or changed without a durable record
// of it. Where the effect lies in the state database, effect and record are one
// transaction; where it lies outside (an HTTP call), the intent is committed
// before the value is opened. If the record cannot be written, nothing happens.
//
//	b, err := broker.New(broker.Config{DB: db, Vault: v, Policy: file, Audit: log, …})
//	ticket, err := b.Issue(ctx, who, broker.IssueRequest{Path: p})
//	answer, err := b.HTTP(ctx, who, redeem.Call{Method: "GET", URL: "https://…", …})
//	defer b.Close()
//
// Every method takes the principal. The owner skips the rules and never the
// record; an agent is asked for its policy first, so that what it may not touch
// looks the same whether it exists or not. A value leaves through [Broker.Use]
// and [Broker.Reveal] only.
//
// A vault elsewhere (package overlay) is asked before a transaction and worked on
// after it: what was decided is about what it said a moment before, and its own
// rules hold besides. It is changed only as what it was found to be: a secret that
// came, or went, meanwhile ends the change. A failure there, or one to reach it, is
// an outcome on record; one without an outcome reads "unknown". An approval and a
// counted use are spent with the intent.
//
// Choice: a refusal undoes its transaction and is recorded in a second one, so
// that a half-made change cannot slip into the log's commit. Outcomes of calls
// outside are recorded after the answer has left; an intent without an outcome
// reads "unknown".
//
// Choice: an agent changes values and nothing else (DESIGN §5). What it makes is
// standard and goes nowhere; where a deleted secret can still be restored that is one
// whose value it could have replaced, or it makes nothing; to an agent that may not list a path, setting it answers the
// same whatever is there. The right to set stays a strong one: whoever replaces
// a value that others use decides with whose key they call.
//
// Choice: so an agent that may not list a guarded path gets no approval to set it: to
// wait for people is to know that something guarded is there. Asking them behind its
// back was rejected: it would be told to choose another path while they decide, and
// the bound on requests would tell it. The owner allows list beside set; a token
// needs no scope to read, since it is told what its agent is.
//
// Choice: what is masked in an answer of where it was never sent stands on record
// ("secret.surfaced"), since somebody else gave it away or somebody tries guesses;
// and after 20 unknown handles in a minute a principal's handles are refused until
// that is over. Both know what this process has seen.
//
// Not here: rules (package policy), what a model may ask (package tools), who a
// caller is (the doors).
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Vault is what the broker needs of a store of secrets. It lies in the state
// database, as an [Inside], or elsewhere, as an [overlay.Vault].
type Vault interface {
	vault.Vault
	vault.Restorer
	vault.Historian
}

// Inside is a Vault in the state database.
type Inside interface {
	Vault
	// InTx returns the same vault inside a transaction of the state database.
	InTx(tx *sqldb.Tx) vault.View
	// Purge destroys some of what has been in the trash too long and returns
	// the paths; none means that nothing is left.
	Purge(tx *sqldb.Tx, now time.Time) ([]vault.Path, error)
	// TurnBack says that it is wall and not seen, which is later: old versions are
	// not readable for longer by that, nor is what was deleted kept for longer.
	TurnBack(tx *sqldb.Tx, wall, seen time.Time) error
	// Highest returns the highest tier of the live secrets that one of the globs
	// matches, or a higher one where it takes long to tell.
	Highest(tx *sqldb.Tx, globs []vault.Glob) (vault.Tier, error)
}

// Rules yields the policy in force.
type Rules interface{ Current() *policy.Policy }

// Anchor keeps the last signed checkpoint of the log outside the database.
type Anchor interface {
	// Update hands the checkpoint that is kept (nil: none) to fn and keeps what
	// fn returns, under a lock between processes. When fn fails nothing changes.
	Update(fn func(old []byte) (signed []byte, err error)) error
}

// Config is what a Broker is made of. Every field is required.
type Config struct {
	DB        *sqldb.DB
	Vault     Vault
	Policy    Rules
	Audit     *audit.Log
	Agents    *identity.Store
	Handles   *handle.Store
	Approvals *approval.Store
	Scrubber  *redact.Scrubber
	HTTP      *redeem.Client
	Catalogue *catalogue.Catalogue
	Anchor    Anchor
	Clock     *clock.Clock
	Log       *slog.Logger
}

// Broker is safe for concurrent use.
type Broker struct {
	c       Config
	near    Inside         // Config.Vault, or
	far     *overlay.Vault // Config.Vault; the other one is nil
	pending sync.WaitGroup // outcomes on their way
	seal    sealer
	outbox  outbox
	plain   plainUses
	sent    uses
	unknown unknowns

	accesses times // of readings in plain, by path
	activity times // of agents, by name
}

// New returns a Broker, or an error that names the part that is missing.
func New(c Config) (*Broker, error) {
	for name, missing := range map[string]bool{
		"database": c.DB == nil, "vault": c.Vault == nil, "policy": c.Policy == nil, "audit log": c.Audit == nil,
		"agents": c.Agents == nil, "handles": c.Handles == nil, "approvals": c.Approvals == nil, "scrubber": c.Scrubber == nil, "HTTP client": c.HTTP == nil,
		"catalogue": c.Catalogue == nil, "anchor": c.Anchor == nil, "clock": c.Clock == nil, "logger": c.Log == nil,
	} {
		if missing {
			return nil, errors.New("broker: no " + name)
		}
	}
	b := &Broker{c: c, outbox: outbox{closing: make(chan struct{})}}
	b.accesses = times{db: c.DB, log: c.Log, now: b.now, table: "accesses", key: "path", every: accessesEvery}
	b.activity = times{db: c.DB, log: c.Log, now: b.now, table: "activity", key: "agent", every: activityEvery}
	switch v := c.Vault.(type) {
	case Inside:
		b.near = v
	case *overlay.Vault:
		b.far = v
	default:
		return nil, fmt.Errorf("broker: a vault of type %T lies neither in the state database nor elsewhere", v)
	}
	return b, nil
}

// Close waits for outcomes still being recorded, at most until ctx ends, and
// signs what the log has gained since the last checkpoint. It does not close
// what [Config] holds.
func (b *Broker) Close(ctx context.Context) error {
	b.outbox.once.Do(func() { close(b.outbox.closing) })
	done := make(chan struct{})
	go func() {
		b.pending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.Join(b.seal.close(ctx, b), b.accesses.close(ctx), b.activity.close(ctx))
}

// now is the clock in the precision the database keeps.
func (b *Broker) now() time.Time { return b.c.Clock.Now().Truncate(time.Microsecond) }
