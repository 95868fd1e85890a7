package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/transport/webhook"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// webhookConfig is one entry of webhooks in config.yaml.
type webhookConfig struct {
	URL        string   `yaml:"url"`
	SecretPath string   `yaml:"secret_path"`
	Events     []string `yaml:"events"`
	Network    []string `yaml:"network"`
}

// targets reads webhooks and finds what is wrong with them by themselves.
func (c config) targets() ([]webhook.Target, error) {
	var all []webhook.Target
	for i, w := range c.Webhooks {
		t := webhook.Target{URL: w.URL}
		var err error
		if t.Network, err = networksOf(fmt.Sprintf("webhook %d: network", i+1), w.Network); err != nil {
			return nil, err
		}
		for _, p := range t.Network {
			if p != p.Masked() {
				return nil, fmt.Errorf("webhook %d: network: %s is no network; did you mean %s?", i+1, p, p.Masked())
			}
		}
		if w.SecretPath != "" {
			if t.Secret, err = vault.ParsePath(w.SecretPath); err != nil {
				return nil, fmt.Errorf("webhook %d: secret_path: %v", i+1, err)
			}
		}
		for _, e := range w.Events {
			t.Events = append(t.Events, vault.Glob(e))
		}
		all = append(all, t)
	}
	return all, webhook.Check(all)
}

// sender makes the sender of the webhooks in the configuration, which may be none.
func (d *desk) sender(ctx context.Context, c config) (*webhook.Sender, error) {
	targets, err := c.targets()
	var sender *webhook.Sender
	if err == nil {
		sender, err = webhook.New(ctx, d, webhookOwner(), d.http, targets, &webhook.Options{Log: d.log, Now: d.clock.Now})
	}
	next := "Check webhooks in " + d.home.config() + "."
	if wrong, ok := errors.AsType[*webhook.TargetError](err); ok {
		return nil, codedError{err, exitPolicy, next + " " + wrong.Next}
	}
	if code, _ := judge(err); err != nil && code == exitFailed {
		return nil, codedError{err, exitPolicy, next}
	}
	return sender, err
}

// webhookOwner is the owner as the record shows it where a key of a webhook is read.
func webhookOwner() identity.Principal {
	who := identity.OwnerCLI()
	who.Client = "webhook"
	return who
}

// expireEvery is how often a desk that serves looks for requests whose time is over.
const expireEvery = 5 * time.Second

// beside starts what works beside the doors: the sender of webhooks, and the end
// of requests that nobody decided. stop waits until both are done.
func (d *desk) beside(ctx context.Context, sender *webhook.Sender) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // doors that drain still have something to tell
	var running sync.WaitGroup
	running.Go(func() { sender.Run(ctx) })
	running.Go(func() { d.expireApprovals(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func (d *desk) expireApprovals(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := d.ExpireApprovals(ctx); err != nil && ctx.Err() == nil {
				d.log.ErrorContext(ctx, "overdue requests not recorded", slog.Any("error", err))
			}
		}
	}
}

// examineWebhooks says what keeps webhooks from being told, as far as it shows
// without reading a key and without sending anything.
func (d *desk) examineWebhooks(ctx context.Context, c config) (list []finding) {
	if len(c.Webhooks) == 0 {
		return nil
	}
	targets, err := c.targets()
	if wrong, ok := errors.AsType[*webhook.TargetError](err); ok {
		return []finding{{"fail", "webhooks", wrong.Error() + ". " + wrong.Next}}
	}
	if err != nil {
		return []finding{{"fail", "webhooks", err.Error()}}
	}
	for _, t := range targets {
		list = append(list, d.examineWebhook(ctx, t))
	}
	return list
}

func (d *desk) examineWebhook(ctx context.Context, t webhook.Target) finding {
	to, err := redeem.ParseEndpoint(t.URL, t.Network)
	if err == nil {
		_, err = d.Describe(ctx, identity.OwnerCLI(), t.Secret)
		if err != nil {
			err = fmt.Errorf("%s: the key at %s: %w", to.Origin(), t.Secret, err)
		}
	}
	if err != nil {
		return finding{"fail", "webhooks", err.Error()}
	}
	state, err := d.Webhook(ctx, identity.OwnerCLI(), webhook.ID(to))
	switch {
	case errors.Is(err, broker.ErrNoWebhook):
		return finding{"ok", "webhooks", to.Origin() + ": new, told from the next start of serve"}
	case err != nil:
		return finding{"fail", "webhooks", err.Error()}
	case state.Failures > 0:
		return finding{"warn", "webhooks", fmt.Sprintf("%s: %d attempts in a row failed; told up to event %d", to.Origin(), state.Failures, state.Sent)}
	default:
		return finding{"ok", "webhooks", to.Origin()}
	}
}
