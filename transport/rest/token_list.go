package rest

import "github.com/coatcheck-dev/coatcheck/policy/identity"

// tokensQuery selects a page.
type tokensQuery struct {
	AgentID string `json:"agent_id,omitempty" jsonschema_description:"For admins: the tokens of that agent. Left out: of all; an agent has its own."`
	pageQuery
}

func (t *tokensQuery) read(q *query) {
	t.AgentID = q.text("agent_id")
	t.pageQuery.read(q)
}

// tokenPage is a page of live tokens, without their texts.
type tokenPage struct {
	Items      []tokenItem `json:"items"`
	NextCursor *string     `json:"next_cursor" jsonschema:"nullable"`
	Limit      int         `json:"limit" jsonschema_description:"As it was applied."`
}

type tokenItem struct {
	ID          string    `json:"id"`
	TokenID     string    `json:"token_id" jsonschema_description:"The same as id."`
	AgentID     string    `json:"agent_id"`
	Scope       string    `json:"scope"`
	Scopes      []string  `json:"scopes"`
	Description *string   `json:"description" jsonschema:"nullable"`
	AllowedIPs  *[]string `json:"allowed_ips" jsonschema:"nullable"`
	MaxUses     *int      `json:"max_uses" jsonschema:"nullable"`
	Used        int       `json:"used" jsonschema_description:"Readings and changes so far, where they are counted."`
	Tier        string    `json:"tier" jsonschema_description:"The most guarded secrets it may read."`
	ApprovalID  *string   `json:"approval_id" jsonschema:"nullable"`
	IssuedBy    *string   `json:"issued_by" jsonschema:"nullable" jsonschema_description:"The admin who issued it for the agent, and whose approval does not count for what it asks; null: no admin did."`
	CreatedAt   *stamp    `json:"created_at" jsonschema:"nullable"`
	ExpiresAt   *stamp    `json:"expires_at" jsonschema:"nullable"`
	RevokedAt   *stamp    `json:"revoked_at" jsonschema:"nullable" jsonschema_description:"Null in a list: there are only tokens that can be used."`
	Damaged     bool      `json:"damaged,omitzero" jsonschema_description:"Not written by this desk, and refused; revoke it."`
}

func (h *Handler) listTokens(c *call, in *tokensQuery) (tokenPage, error) {
	page, err := h.desk.ListTokens(c.ctx, c.who, in.AgentID, in.Cursor, in.Limit)
	if err != nil {
		return tokenPage{}, err
	}
	out := tokenPage{Items: make([]tokenItem, len(page.Items)), NextCursor: orNull(page.Next), Limit: in.Limit}
	for i, t := range page.Items {
		out.Items[i] = shownToken(t)
	}
	return out, nil
}

// getToken looks at one token, also when it can no longer be used.
func (h *Handler) getToken(c *call, _ *none) (tokenItem, error) {
	t, err := h.desk.Token(c.ctx, c.who, c.id)
	if err != nil {
		return tokenItem{}, err
	}
	return shownToken(t), nil
}

func shownToken(t identity.Token) tokenItem {
	words := asked(t.Scopes, 0, t.MaxUses, t.Addrs, t.Description)
	return tokenItem{
		ID: t.ID, TokenID: t.ID, AgentID: t.Agent, Scope: words.Scope, Scopes: words.Scopes, Description: words.Description,
		AllowedIPs: words.AllowedIPs, MaxUses: words.MaxUses, Used: t.Used, Tier: string(t.Tier), ApprovalID: orNull(t.Approval), IssuedBy: orNull(t.Issuer),
		CreatedAt: at(t.CreatedAt), ExpiresAt: at(t.ExpiresAt), RevokedAt: at(t.RevokedAt), Damaged: t.Damaged,
	}
}

func (h *Handler) revokeToken(c *call, _ *none) (none, error) {
	return none{}, h.desk.RevokeToken(c.ctx, c.who, c.id)
}
