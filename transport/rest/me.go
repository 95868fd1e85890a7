package rest

import (
	"errors"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// health is what needs no credential (CONTRACT §5.16).
type health struct {
	Status  string `json:"status" jsonschema:"enum=ok"`
	Version string `json:"version"`
	Service string `json:"service"`
}

func (h *Handler) health(*call, *none) (health, error) {
	return health{Status: "ok", Version: h.version, Service: "coatcheck"}, nil
}

// subscription is what the hosted service sells; there is nothing to buy here.
type subscription struct {
	HasSubscription    bool   `json:"has_subscription"`
	Plan               string `json:"plan" jsonschema:"enum=self-hosted"`
	SubscriptionStatus string `json:"subscription_status" jsonschema:"enum=active"`
}

func (h *Handler) subscription(*call, *none) (subscription, error) {
	return subscription{true, "self-hosted", "active"}, nil
}

// me is the caller as the desk knows it.
type me struct {
	ID                 string `json:"id" jsonschema_description:"As the audit log names the caller."`
	Kind               string `json:"kind" jsonschema:"enum=admin,enum=agent,enum=token,enum=owner"`
	Name               string `json:"name"`
	Email              string `json:"email" jsonschema_description:"Not known here: empty."`
	Plan               string `json:"plan" jsonschema:"enum=self-hosted"`
	SubscriptionStatus string `json:"subscription_status" jsonschema:"enum=active"`
	SecretCount        int    `json:"secret_count" jsonschema:"minimum=0,maximum=10000" jsonschema_description:"The secrets that the caller may list, as far as one look goes: to 10,000, and less far where many lie between that the caller may not list. 0 for who may not list namespaces."`
	AgentCount         int    `json:"agent_count" jsonschema_description:"The agents that the caller may see: live ones for admins, else itself."`
}

func (h *Handler) me(c *call, _ *none) (me, error) {
	out := me{
		ID: c.who.ID(), Kind: string(c.who.Kind), Name: c.who.Name, Plan: "self-hosted", SubscriptionStatus: "active", AgentCount: 1,
	}
	var denied *broker.Denied
	page, err := h.desk.Namespaces(c.ctx, c.who, "")
	if err != nil && !errors.As(err, &denied) {
		return me{}, err
	}
	for _, n := range page.Items {
		out.SecretCount += n.Secrets
	}
	if c.who.Kind == identity.Agent || c.who.Kind == identity.ScopedToken {
		return out, nil
	}
	agents, err := h.desk.ListAgents(c.ctx, c.who)
	out.AgentCount = 0
	for _, a := range agents {
		if a.RevokedAt.IsZero() && !a.Damaged {
			out.AgentCount++
		}
	}
	return out, err
}
