package bench_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// fewSecrets is the size that a large vault is compared with.
const fewSecrets = 1000

// sparse opens a few of many namespaces.
func sparse() string {
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	for i := range sparseNames {
		fmt.Fprintf(&text, "  - {name: r%d, agents: [\"@stdio\"], paths: [\"some-%02d/*\"], allow: [list]}\n", i, i)
	}
	return text.String()
}

const sparseNames = 20

// fillSparse adds the secrets that the sparse policy opens, the same in every home.
func fillSparse(b *testing.B, home string) {
	b.Helper()
	inBulk(b, home, 5*sparseNames, func(db *sqldb.DB, keys *embedded.Keyring) func(*sqldb.Tx, int, int) error {
		all := embedded.New(db, keys, nil)
		return func(tx *sqldb.Tx, first, end int) error {
			for i := first; i < end; i++ {
				p := vault.Path(fmt.Sprintf("some-%02d/key-%d", i%sparseNames, i))
				if _, err := all.InTx(tx).Put(p, vault.Change{Value: secret.New([]byte("value"))}); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// pages measures list_secrets in the large vault beside a small one, under the
// default policy and under one that opens little.
func pages(b *testing.B, dir string, ours program) []budget {
	b.Helper()
	homes := [2]string{filepath.Join(dir, "few"), filepath.Join(dir, "home")}
	programs := [2]program{}
	for i, home := range homes {
		programs[i] = ours
		programs[i].env = append(os.Environ(), "COATCHECK_HOME="+home)
		programs[i].tool, programs[i].args = "list_secrets", `{}`
	}
	cmd := exec.CommandContext(context.Background(), ours.argv[0], "init")
	cmd.Env = programs[0].env
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("init: %v\n%s", err, out)
	}
	fill(b, homes[0], fewSecrets)
	for _, home := range homes {
		fillSparse(b, home)
	}
	var table []budget
	for _, p := range []struct{ name, text string }{{"dense", policy.Default}, {"sparse", sparse()}} {
		var both [2]*client
		for i, home := range homes {
			if err := os.WriteFile(filepath.Join(home, "policy.yaml"), []byte(p.text), 0o600); err != nil {
				b.Fatal(err)
			}
			both[i], _ = start(b, programs[i])
			both[i].one(50)
		}
		var took [2][]time.Duration
		for round := range *rounds {
			for i := range both {
				i = (i + round) % 2
				took[i] = append(took[i], both[i].one(200))
			}
		}
		for _, c := range both {
			c.stop()
		}
		few, many := median(took[0]), median(took[1])
		table = append(table, budget{
			what: fmt.Sprintf("list_secrets page, %s policy, %d secrets beside %d", p.name, *secrets, fewSecrets),
			bare: millis(few), ours: millis(many), ratio: float64(many) / float64(few), bound: 1.5,
		})
	}
	if err := os.WriteFile(filepath.Join(homes[1], "policy.yaml"), []byte(policy.Default), 0o600); err != nil {
		b.Fatal(err)
	}
	return table
}

// waits measures get_secret in processes that share one vault: how long the
// slowest calls take when eight write at once. The bare column is one process by itself.
func waits(b *testing.B, ours program) budget {
	b.Helper()
	together := func(processes int) []time.Duration {
		clients := make([]*client, processes)
		for i := range clients {
			clients[i], _ = start(b, ours)
			defer clients[i].stop()
		}
		var mu sync.Mutex
		var all []time.Duration
		var wg sync.WaitGroup
		for _, c := range clients {
			wg.Go(func() {
				took := c.each(*calls)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, took...)
			})
		}
		wg.Wait()
		slices.Sort(all)
		return all
	}
	at := func(all []time.Duration, share float64) time.Duration { return all[int(share*float64(len(all)-1))] }
	line := func(all []time.Duration) string {
		return millis(at(all, 0.5)) + ", " + millis(at(all, 0.99)) + ", " + millis(at(all, 0.999))
	}
	one, eight := together(1), together(8)
	return budget{
		what: "get_secret in 1 and in 8 processes, p50, p99, p99.9 (ms)", bare: line(one), ours: line(eight),
		ratio: float64(at(eight, 0.999)) / float64(time.Millisecond), bound: 50, fixed: true,
	}
}
