package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// liveTokens is how many tokens there are in the large home.
const liveTokens = 100_000

const readPolicy = `version: 1
rules:
  - {name: stdio, agents: ["@stdio"], paths: ["*"], allow: [list, use]}
  - {name: programs, agents: ["reader*"], doors: [rest], paths: ["*"], allow: [list, reveal, token]}
`

// reading measures GET /v1/secrets/{path} with a scoped token, each reading on
// record before it is answered, beside a plain net/http handler that answers the
// same bytes: with one connection the time, with 32 the throughput, in a small
// home and in one with a million secrets and many live tokens.
func reading(b *testing.B, dir string, bare, ours program) []budget {
	b.Helper()
	homes := [2]string{filepath.Join(dir, "few"), filepath.Join(dir, "home")}
	ours.argv = []string{ours.argv[0], "serve", "--listen", "127.0.0.1:0"}
	var readers [2]reader
	at := func(home string) program {
		p := ours
		p.env = append(os.Environ(), "COATCHECK_HOME="+home)
		return p
	}
	for i, home := range homes {
		readers[i] = newReader(b, at(home), home)
	}
	fillTokens(b, homes[1])
	var times [2][]time.Duration
	for range *rounds { // in turn, so that what disturbs the machine disturbs both
		for i, home := range homes {
			times[i] = append(times[i], verification(b, home))
		}
	}
	verified := [2]time.Duration{median(times[0]), median(times[1])}
	for i, home := range homes {
		s := serve(b, at(home), nil)
		defer s.stop(b)
		readers[i].url = s.url + "/v1/secrets/bench%2Fkey"
		readers[i].token = token(b, s.url, readers[i].token)
	}
	body := readers[1].get(b, &http.Client{})
	bare.argv = []string{bare.argv[0], "serve", string(body)}
	plain := serve(b, bare, nil)
	defer plain.stop(b)
	three := [3]reader{{url: plain.url + "/plain"}, readers[0], readers[1]}

	var one [3][]time.Duration
	var many [3][]float64
	for round := range *rounds {
		for i := range three {
			i = (i + round) % len(three)
			one[i] = append(one[i], three[i].one(b, *calls))
			many[i] = append(many[i], three[i].many(b, 32, *calls))
		}
	}
	p50 := [3]time.Duration{median(one[0]), median(one[1]), median(one[2])}
	rate := [3]float64{median(many[0]), median(many[1]), median(many[2])}
	commit := commits(b)
	allowed := p50[0] + 2*commit
	return []budget{
		{
			what: fmt.Sprintf("GET of a secret over REST, 1 connection, p50 (bare + 2 commits of %s)", millis(commit)),
			bare: millis(allowed), ours: millis(p50[2]), ratio: float64(p50[2]) / float64(allowed), bound: 1,
		},
		{
			what: "GET of a secret over REST, 32 connections",
			bare: fmt.Sprintf("%.0f/s", rate[0]), ours: fmt.Sprintf("%.0f/s", rate[2]), ratio: rate[2] / rate[0], bound: 0.4, atLeast: true,
		},
		{
			what: fmt.Sprintf("  the time with %d secrets and %d tokens beside %d and 1", *secrets, liveTokens, fewSecrets),
			bare: millis(p50[1]), ours: millis(p50[2]), ratio: float64(p50[2]) / float64(p50[1]), bound: 1.2,
		},
		{
			what: "  the throughput so",
			bare: fmt.Sprintf("%.0f/s", rate[1]), ours: fmt.Sprintf("%.0f/s", rate[2]), ratio: rate[2] / rate[1], bound: 0.8, atLeast: true,
		},
		{
			what: fmt.Sprintf("verification of an uncounted token, 1 and %d live", liveTokens),
			bare: micros(verified[0]), ours: micros(verified[1]), ratio: float64(verified[1]) / float64(time.Microsecond), bound: 20, fixed: true,
		},
		{
			what: "  the time with so many beside 1",
			bare: micros(verified[0]), ours: micros(verified[1]), ratio: float64(verified[1]) / float64(verified[0]), bound: 1.2,
		},
	}
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
}

// reader reads one secret over and over.
type reader struct{ url, token string }

// newReader readies a home for readers and returns one with its agent's key.
func newReader(b *testing.B, p program, home string) reader {
	b.Helper()
	add := exec.CommandContext(context.Background(), p.argv[0], "agent", "add", "reader")
	add.Env = p.env
	key, err := add.Output()
	if err != nil {
		b.Fatal(err)
	}
	set := exec.CommandContext(context.Background(), p.argv[0], "secret", "set", "bench/key")
	set.Env, set.Stdin = p.env, strings.NewReader("not-a-real-key-0123456789\n")
	if out, err := set.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{"policy.yaml": readPolicy, "config.yaml": "limits:\n  rate: 1000000\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return reader{token: strings.TrimSpace(string(key))}
}

// token asks for one over REST.
func token(b *testing.B, url, key string) string {
	b.Helper()
	r, err := post(url+"/v1/tokens", key, "", []byte(`{"scope":"secrets:read:bench/*","ttl_seconds":86400}`))
	if err != nil {
		b.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	var got struct{ Token string }
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil || got.Token == "" {
		b.Fatalf("POST /v1/tokens: %v\n%s", err, text)
	}
	return got.Token
}

func (r reader) get(b *testing.B, c *http.Client) []byte {
	b.Helper()
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.url, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	if r.token != "" {
		q.Header.Set("Authorization", "Bearer "+r.token)
	}
	answer, err := c.Do(q)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("not-a-real-key")) {
		b.Errorf("%d, %v: %s", answer.StatusCode, err, text)
	}
	return text
}

// one reads n times over one connection and returns the median time.
func (r reader) one(b *testing.B, n int) time.Duration {
	b.Helper()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	return each(func() { r.get(b, c) }, n)
}

// many reads n times over so many connections and returns how many a second.
func (r reader) many(b *testing.B, connections, n int) float64 {
	b.Helper()
	var all sync.WaitGroup
	began := time.Now()
	for range connections {
		all.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for range n / connections {
				r.get(b, c)
			}
		})
	}
	all.Wait()
	return float64(n/connections*connections) / time.Since(began).Seconds()
}

// agentsOf opens the agents of a home.
func agentsOf(db *sqldb.DB, keys *embedded.Keyring) (*identity.Store, *rowmac.Key, error) {
	key := audit.OpenKey(db, "coatcheck.dev/"+keys.VaultID(), keys)
	rows, err := broker.OpenRows(context.Background(), db, key, nil, time.Now)
	return identity.New(rows), rows, err
}

// fillTokens makes [liveTokens] in a home, of as many agents as it takes.
func fillTokens(b *testing.B, home string) {
	b.Helper()
	scopes, err := identity.ParseScopes([]string{"secrets:read:bench/*"})
	if err != nil {
		b.Fatal(err)
	}
	inBulk(b, home, liveTokens, func(db *sqldb.DB, keys *embedded.Keyring) func(*sqldb.Tx, int, int) error {
		agents, _, err := agentsOf(db, keys)
		if err != nil {
			b.Fatal(err)
		}
		return func(tx *sqldb.Tx, first, end int) error {
			name := "reader-" + strconv.Itoa(first)
			now := time.Now()
			if _, err := agents.Add(tx, identity.NewAgent{Name: name}, now); err != nil {
				return err
			}
			for range end - first {
				if _, _, err := agents.IssueToken(tx, identity.TokenSpec{Agent: name, Scopes: scopes, TTL: identity.MaxTokenTTL}, now); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// verification is the time that it takes to know a token, as the door does.
func verification(b *testing.B, home string) (took time.Duration) {
	b.Helper()
	scopes, err := identity.ParseScopes([]string{"secrets:read:bench/*"})
	if err != nil {
		b.Fatal(err)
	}
	inBulk(b, home, 1, func(db *sqldb.DB, keys *embedded.Keyring) func(*sqldb.Tx, int, int) error {
		agents, _, err := agentsOf(db, keys)
		if err != nil {
			b.Fatal(err)
		}
		return func(tx *sqldb.Tx, _, _ int) error {
			text, _, err := agents.IssueToken(tx, identity.TokenSpec{Agent: "reader", Scopes: scopes}, time.Now())
			if err != nil {
				return err
			}
			took = each(func() {
				if _, err := agents.ByCredential(tx, text, "127.0.0.1", time.Now()); err != nil {
					b.Error(err)
				}
			}, *calls)
			return nil
		}
	})
	return took
}

// commits is what a durable commit of the state database takes here.
func commits(b *testing.B) time.Duration {
	b.Helper()
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), filepath.Join(dir, "vault.db"), migrations())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // nothing of it is kept
	var all []time.Duration
	for range *rounds {
		all = append(all, each(func() {
			if err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`INSERT INTO rates (principal, rule, arrival) VALUES ('a', 'b', 1) ON CONFLICT (principal, rule) DO UPDATE SET arrival = rates.arrival + 1`)
				return err
			}); err != nil {
				b.Fatal(err)
			}
		}, *calls/4))
	}
	return median(all)
}
