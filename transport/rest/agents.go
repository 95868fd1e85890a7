package rest

import (
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// agentRequest registers an agent (CONTRACT §5.15).
type agentRequest struct {
	Name              string   `json:"name" jsonschema:"minLength=1,maxLength=64,pattern=^[A-Za-z0-9_-]+$"`
	Description       string   `json:"description,omitempty"`
	AllowedNamespaces []string `json:"allowed_namespaces,omitempty" jsonschema_description:"What the agent and its tokens may reach at most, whatever the policy allows; production/* is production. None, or * among them: no such limit."`
	AllowedScopes     []string `json:"allowed_scopes,omitempty" jsonschema_description:"The same, as scopes: secrets:read:production/*. None: no such limit."`
}

// registered is a new agent with its key.
type registered struct {
	agent
	APIKey string `json:"api_key" jsonschema_description:"Shown once and stored nowhere."`
}

type agent struct {
	ID                string   `json:"id" jsonschema_description:"The name."`
	Name              string   `json:"name"`
	Description       string   `json:"description"`
	APIKeyPrefix      string   `json:"api_key_prefix" jsonschema_description:"Which sort of key it has; empty for an agent over stdio."`
	AllowedNamespaces []string `json:"allowed_namespaces"`
	AllowedScopes     []string `json:"allowed_scopes"`
	Active            bool     `json:"active"`
	RegisteredBy      *string  `json:"registered_by" jsonschema:"nullable" jsonschema_description:"The admin who registered it, and whose approval does not count for what it asks; null: the owner."`
	CreatedAt         *stamp   `json:"created_at" jsonschema:"nullable" jsonschema_description:"null where it is not known: the row is damaged, and the agent is refused."`
	LastActiveAt      *stamp   `json:"last_active_at" jsonschema:"nullable" jsonschema_description:"When the agent, or a token of it, last came with a request; null: not since that is kept. To about a minute: the audit log is exact."`
}

type agentList struct {
	Items []agent `json:"items"`
}

func shownAgent(r identity.Registration) agent {
	return agent{
		ID: r.Name, Name: r.Name, Description: r.Description, APIKeyPrefix: strings.TrimSuffix(r.KeyHint, "…"),
		AllowedNamespaces: r.Namespaces.Strings(), AllowedScopes: r.Scopes.Strings(),
		Active: r.RevokedAt.IsZero() && !r.Damaged, RegisteredBy: orNull(r.Registrar), CreatedAt: at(r.CreatedAt), LastActiveAt: at(r.ActiveAt),
	}
}

func (h *Handler) listAgents(c *call, _ *none) (agentList, error) {
	all, err := h.desk.ListAgents(c.ctx, c.who)
	out := agentList{Items: make([]agent, len(all))}
	for i, r := range all {
		out.Items[i] = shownAgent(r)
	}
	return out, err
}

func (h *Handler) createAgent(c *call, in *agentRequest) (registered, error) {
	wanted := identity.NewAgent{Name: in.Name, Description: in.Description}
	var err error
	if len(in.AllowedNamespaces) > 0 {
		if wanted.Namespaces, err = identity.ParseNamespaces(in.AllowedNamespaces); err != nil {
			return registered{}, err
		}
	}
	if len(in.AllowedScopes) > 0 {
		if wanted.Scopes, err = identity.ParseScopes(in.AllowedScopes); err != nil {
			return registered{}, err
		}
	}
	key, err := h.desk.AddAgent(c.ctx, c.who, wanted)
	if err != nil {
		return registered{}, err
	}
	shown, err := h.agent(c, in.Name)
	return registered{shown, key}, err
}

// agent is a registered agent as the desk lists it.
func (h *Handler) agent(c *call, name string) (agent, error) {
	all, err := h.desk.ListAgents(c.ctx, c.who)
	for _, r := range all {
		if r.Name == name {
			return shownAgent(r), nil
		}
	}
	if err == nil {
		err = identity.ErrUnknownAgent // revoked names stay in the list: somebody has tampered
	}
	return agent{}, err
}

func (h *Handler) revokeAgent(c *call, _ *none) (none, error) {
	return none{}, h.desk.RevokeAgent(c.ctx, c.who, c.id)
}
