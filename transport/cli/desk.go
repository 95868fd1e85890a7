package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// migrations is every package's schema in the one order that may never change:
// a released step keeps its place, new ones go to the end.
func migrations() []sqldb.Migration {
	var all []sqldb.Migration
	for _, of := range [][]sqldb.Migration{
		embedded.Migrations()[:1], identity.Migrations()[:1], handle.Migrations()[:1], audit.Migrations()[:1], broker.Migrations()[:1],
		identity.Migrations()[1:2], handle.Migrations()[1:2], clock.Migrations()[:1],
		handle.Migrations()[2:3], audit.Migrations()[1:2], handle.Migrations()[3:4],
		embedded.Migrations()[1:2], identity.Migrations()[2:3],
		approval.Migrations()[:1], identity.Migrations()[3:4],
		handle.Migrations()[4:5], broker.Migrations()[1:2], broker.Migrations()[2:3],
		identity.Migrations()[4:5], overlay.Migrations()[:1],
		approval.Migrations()[1:2],
		broker.Migrations()[3:4],
	} {
		all = append(all, of...)
	}
	return all
}

// desk is an opened home: the broker and what it stands on.
type desk struct {
	*broker.Broker
	home   home
	log    *slog.Logger
	db     *sqldb.DB
	keys   *embedded.Keyring
	audit  *audit.Log
	key    *audit.Key
	rows   error // why no row of the database can be believed, if so
	clock  *clock.Clock
	mark   error // why it is not known how far this vault's time has come, if so
	agents *identity.Store
	http   *redeem.Client
	known  *catalogue.Catalogue
	rules  broker.Rules
	away   string         // the URL of a vault elsewhere, "" when it is in the home
	keyed  bool           // there is a key for it
	far    *overlay.Vault // that vault, nil when it is in the home
}

// verify recomputes the whole log and compares it with what was signed, in the
// database and outside of it.
func (d *desk) verify(ctx context.Context) (audit.Report, error) {
	anchor, err := d.home.anchor().read()
	if err != nil {
		return audit.Report{}, err
	}
	return audit.Verify(ctx, d.db, d.key, anchor)
}

// open wires the home together for a command of the owner, for whom a broken
// policy is a warning.
func (a *app) open(ctx context.Context, h home) (*desk, error) {
	return guarded(ctx)(a.wire(ctx, h, false))
}

// openStrict is open for a door: it refuses to start without a good policy, and
// while the system's clock is behind this vault's time.
func (a *app) openStrict(ctx context.Context, h home) (*desk, error) {
	d, err := guarded(ctx)(a.wire(ctx, h, true))
	if err != nil {
		return nil, err
	}
	if d.away != "" && !d.keyed {
		return nil, errors.Join(errNoVaultKey(), d.db.Close())
	}
	if err := d.onTime(); err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	return d, nil
}

// inspect is open for a command that judges the record itself.
func (a *app) inspect(ctx context.Context, h home) (*desk, error) { return a.wire(ctx, h, false) }

// guarded lets a desk start if its record is not shorter than what was signed;
// the rest shows at the next checkpoint, before it is signed.
func guarded(ctx context.Context) func(*desk, error) (*desk, error) {
	return func(d *desk, err error) (*desk, error) {
		if err != nil {
			return nil, err
		}
		anchor, err := d.home.anchor().read()
		if err == nil {
			err = d.rows
		}
		if err == nil {
			err = d.db.View(ctx, func(tx *sqldb.Tx) error { return d.audit.CheckLength(tx, anchor) })
		}
		if err != nil {
			return nil, errors.Join(err, d.db.Close())
		}
		return d, nil
	}
}

// wire opens a home whatever its record says.
func (a *app) wire(ctx context.Context, h home, strict bool) (*desk, error) {
	usual := slog.LevelWarn
	if strict {
		usual = slog.LevelInfo
	}
	log := a.logger(usual)
	rules, err := openRules(h, log)
	if err != nil && strict {
		return nil, err
	}
	if err != nil {
		log.WarnContext(ctx, "policy not usable, agents are refused", slog.Any("error", err))
	}
	choice, err := a.keySource(h)
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, h.database(), migrations())
	if err != nil {
		return nil, err
	}
	source, err := choice.settle(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	d, err := a.assemble(ctx, h, db, a.follow(h, choice, source), rules, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

func openRules(h home, log *slog.Logger) (broker.Rules, error) {
	file, err := policy.OpenFile(h.policy(), func(_ *policy.Policy, err error) {
		if err != nil {
			log.Error("policy is broken, the last good one stays in force", slog.Any("error", err))
			return
		}
		log.Info("policy reloaded")
	})
	if err != nil {
		return noRules{}, policyFault(err)
	}
	return file, nil
}

// noRules is the policy that denies everything.
type noRules struct{}

func (noRules) Current() *policy.Policy { return nil }

func (a *app) assemble(ctx context.Context, h home, db *sqldb.DB, source embedded.KeySource, rules broker.Rules, log *slog.Logger) (*desk, error) {
	keys, err := embedded.OpenKeyring(ctx, db, source)
	if err != nil {
		return nil, err
	}
	providers := catalogue.New()
	key := audit.OpenKey(db, "coatcheck.dev/"+keys.VaultID(), keys)
	d := &desk{home: h, log: log, db: db, keys: keys, known: providers, audit: audit.New(key, key), key: key, rules: rules}
	rows := d.openRows(ctx, a.now)
	d.agents, d.clock = identity.New(rows), clock.New(clock.Of(a.now), rows)
	d.mark = db.View(ctx, d.clock.Load)
	d.http = redeem.NewClient(nil)
	secrets, err := a.secrets(h, d, rows)
	if err != nil {
		return nil, err
	}
	d.Broker, err = broker.New(broker.Config{
		DB: db, Vault: secrets, Policy: rules, Audit: d.audit,
		Agents: d.agents, Handles: handle.New(rows), Approvals: approval.New(rows), Scrubber: redact.New(d.clock.Now), HTTP: d.http,
		Catalogue: providers, Anchor: h.anchor(),
		Clock: d.clock, Log: log,
	})
	return d, err
}

// openRows opens the key that authenticates rows. Without it a command that
// judges the record still runs, on rows that all look damaged.
func (d *desk) openRows(ctx context.Context, now func() time.Time) *rowmac.Key {
	var rows *rowmac.Key
	anchor, err := d.home.anchor().read()
	if err == nil {
		rows, err = broker.OpenRows(ctx, d.db, d.key, anchor, now)
	}
	if d.rows = err; err != nil {
		var nobodys [rowmac.KeySize]byte
		_, _ = rand.Read(nobodys[:]) // never fails (crypto/rand)
		rows = rowmac.New(nobodys)
	}
	return rows
}

// closeTimeout bounds the work after the last request.
const closeTimeout = 20 * time.Second

// close finishes the record and closes the database.
func (d *desk) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	d.http.Close()
	return errors.Join(d.Close(ctx), d.db.Close())
}

// finish closes the desk after a command that ended with err. One that was
// carried out is not told as one that was not.
func (d *desk) finish(ctx context.Context, err error) error {
	closing := d.close(ctx)
	if err == nil && closing != nil {
		return notSealed{closing}
	}
	return errors.Join(err, closing)
}

// asOwner runs a command of the owner on a home that exists.
func (a *app) asOwner(ctx context.Context, run func(d *desk, who identity.Principal) error) error {
	return a.onHome(ctx, false, a.open, run)
}

// onHome opens the home, runs a command of the owner on it and closes it.
func (a *app) onHome(ctx context.Context, first bool, open func(context.Context, home) (*desk, error),
	run func(d *desk, who identity.Principal) error,
) error {
	h, err := a.ready(ctx, first)
	if err != nil {
		return err
	}
	d, err := open(ctx, h)
	if err != nil {
		return err
	}
	return d.finish(ctx, run(d, identity.OwnerCLI()))
}
