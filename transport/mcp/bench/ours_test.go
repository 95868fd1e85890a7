package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// coatcheck builds the product and fills a home as a user would have it: the
// default policy, a key file, and as many secrets as the budget names.
func coatcheck(b *testing.B, dir string) program {
	b.Helper()
	home := filepath.Join(dir, "home")
	p := program{
		name: "coatcheck",
		argv: []string{build(b, dir, "coatcheck", "github.com/coatcheck-dev/coatcheck"), "mcp"},
		env:  append(os.Environ(), "COATCHECK_HOME="+home),
		tool: "get_secret", args: `{"path":"bench/key"}`,
	}
	command := func(stdin string, args ...string) {
		cmd := exec.CommandContext(context.Background(), p.argv[0], args...)
		cmd.Env = p.env
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("coatcheck %v: %v\n%s", args, err, out)
		}
	}
	command("", "init")
	command("not-a-real-key-0123456789\n", "secret", "set", "bench/key", "--to", "api.example.com")
	began := time.Now()
	fill(b, home, *secrets)
	fmt.Printf("filled a vault with %d secrets in %s\n", *secrets, time.Since(began).Round(time.Second))
	return p
}

// fill writes n secrets straight into the vault: a command for each would take
// hours. The list of migrations is the one of the command line; the database
// refuses any other.
func fill(b *testing.B, home string, n int) {
	b.Helper()
	inBulk(b, home, n, func(db *sqldb.DB, keys *embedded.Keyring) func(*sqldb.Tx, int, int) error {
		all := embedded.New(db, keys, nil)
		return func(tx *sqldb.Tx, first, end int) error {
			view := all.InTx(tx)
			for i := first; i < end; i++ {
				p, err := vault.ParsePath(fmt.Sprintf("team-%03d/service-%04d/key-%d", i%997, i%9973, i))
				if err != nil {
					return err
				}
				if _, err := view.Put(p, vault.Change{Value: secret.New([]byte("value-" + strconv.Itoa(i)))}); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

func migrations() []sqldb.Migration {
	return slices.Concat(embedded.Migrations(), identity.Migrations(), handle.Migrations(), approval.Migrations(), audit.Migrations(), broker.Migrations(), clock.Migrations(), overlay.Migrations())
}

// inBulk opens the database of a home and does n things in large transactions.
func inBulk(b *testing.B, home string, n int, with func(*sqldb.DB, *embedded.Keyring) func(tx *sqldb.Tx, first, end int) error) {
	b.Helper()
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	db, err := sqldb.Open(ctx, filepath.Join(home, "vault.db"), migrations())
	must(err)
	source, err := embedded.ParseKeySource(embedded.FileURI(filepath.Join(home, "key")))
	must(err)
	keys, err := embedded.OpenKeyring(ctx, db, source)
	must(err)
	some := with(db, keys)
	const batch = 5000
	for first := 0; first < n; first += batch {
		must(db.Update(ctx, func(tx *sqldb.Tx) error { return some(tx, first, min(first+batch, n)) }))
	}
	must(db.Close())
}

// verify measures how fast a long record is verified, by the command.
func verify(b *testing.B, dir string, ours program) budget {
	b.Helper()
	home := filepath.Join(dir, "record")
	env := append(os.Environ(), "COATCHECK_HOME="+home)
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(context.Background(), ours.argv[0], args...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("coatcheck %v: %v", args, err)
		}
		return out
	}
	run("init")
	inBulk(b, home, *events, func(db *sqldb.DB, keys *embedded.Keyring) func(*sqldb.Tx, int, int) error {
		key := audit.OpenKey(db, "coatcheck.dev/"+keys.VaultID(), keys)
		log := audit.New(key, key)
		return func(tx *sqldb.Tx, first, end int) error {
			for i := first; i < end; i++ {
				_, err := log.Append(tx, audit.Entry{
					Time: time.Now(), Event: "handle.issued", Actor: "agent:bench", Door: "mcp", Outcome: audit.OK,
					Path: vault.Path("bench/key-" + strconv.Itoa(i)), Version: 1, Rule: "bench", RuleHash: "0123456789ab",
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
	})
	run("agent", "add", "bench") // whatever is recorded next signs it all
	began := time.Now()
	out := run("audit", "verify", "--json")
	took := time.Since(began)
	var report struct{ Events, Signed int }
	if err := json.Unmarshal(out, &report); err != nil || report.Events < *events || report.Signed < *events {
		b.Fatalf("audit verify: %v\n%s", err, out)
	}
	rate := float64(report.Events) / took.Seconds()
	return budget{
		what: fmt.Sprintf("audit verify, %d events (leaves/s)", report.Events),
		bare: "-", ours: fmt.Sprintf("%.0f/s", rate), ratio: rate, bound: 200_000, atLeast: true, fixed: true,
	}
}

// decision measures one policy decision among 10,000 rules that name their paths
// literally. The bound is the slower of an allowed and a denied one; a denied
// one that allocates misses it.
func decision(b *testing.B) budget {
	b.Helper()
	const rules = 10_000
	var text bytes.Buffer
	text.WriteString("version: 1\nrules:\n")
	for i := range rules {
		fmt.Fprintf(&text, "  - {name: r%d, agents: [\"@stdio\"], paths: [\"team-%d/service-%d/*\"], allow: [list, use]}\n", i, i%100, i)
	}
	compiled, err := policy.Parse("bench.yaml", text.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	ask := func(path string, allowed bool) (policy.Request, time.Duration) {
		p, err := vault.ParsePath(path)
		if err != nil {
			b.Fatal(err)
		}
		r := policy.Request{Subject: policy.Subject{Agent: identity.Local, Stdio: true, Door: policy.DoorMCP}, Right: policy.Use, Path: p}
		if compiled.Decide(r).Allowed != allowed {
			b.Fatalf("%s: allowed is not %v", path, allowed)
		}
		const decisions = 200_000
		var took []time.Duration
		for range *rounds {
			began := time.Now()
			for range decisions {
				compiled.Decide(r)
			}
			took = append(took, time.Since(began)/decisions)
		}
		return r, median(took)
	}
	_, allowed := ask("team-42/service-5042/key", true)
	denied, refused := ask("team-42/service-5043/key", false)
	allocations := testing.AllocsPerRun(1000, func() { compiled.Decide(denied) })
	slower := max(allowed, refused)
	line := budget{
		what: fmt.Sprintf("policy decision, %d rules (ns; %.0f allocations when denied)", rules, allocations),
		bare: "-", ours: fmt.Sprintf("%d ns", slower.Nanoseconds()),
		ratio: float64(slower.Nanoseconds()), bound: 1000, fixed: true,
	}
	if allocations > 0 {
		line.ratio = max(line.ratio, line.bound+1)
	}
	return line
}
