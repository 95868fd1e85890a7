// Command go reads a secret of a desk through the Go SDK, waits for people where
// they have to agree first, and fetches a token for a worker:
//
//	export ASS_AGENT_KEY=$(coatcheck agent add billing)   # with a rule as in examples/policies/programs.yaml
//	go run ./examples/go http://127.0.0.1:7420 production/database/url
//
// The value goes to standard output, everything else to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := errors.New("usage: go run ./examples/go URL PATH")
	if len(os.Args) == 3 {
		err = run(ctx, os.Args[1], os.Args[2])
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, name string) error {
	desk, err := client.New(&client.Options{BaseURL: url}) // the key comes from ASS_AGENT_KEY
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))

	// What there is beside it, page by page: metadata, never a value.
	for m, err := range desk.Secrets(ctx, path.Dir(name), nil) {
		if err != nil {
			return err
		}
		log.InfoContext(ctx, "there is", slog.String("path", m.Path), slog.Int("version", m.Version), slog.Any("tier", m.Tier))
	}

	s, err := desk.GetSecret(ctx, name, nil)
	if pending, waits := errors.AsType[*client.ApprovalPendingError](err); waits { // the secret is sensitive or critical
		log.InfoContext(ctx, "waiting until people agree", slog.String("request", pending.ApprovalRequestID))
		if _, err = desk.WaitForApproval(ctx, pending.ApprovalRequestID, nil); err == nil {
			s, err = desk.GetSecret(ctx, name, nil) // the same call, which passes once
		}
	}
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write(s.Value.Reveal()); err != nil { // printed otherwise it would read [secret]
		return err
	}

	// A worker gets no key but a token: here for one reading within a quarter of
	// an hour.
	token, err := desk.RequestToken(ctx, client.TokenOptions{Scope: "secrets:read:" + name, TTL: 15 * time.Minute, MaxUses: 1})
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "token for a worker", slog.String("id", token.ID), slog.Any("status", token.ApprovalStatus), slog.Time("expires", token.ExpiresAt))
	return nil
}
