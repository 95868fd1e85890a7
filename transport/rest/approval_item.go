package rest

import (
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// approvalItem is a request as people decide about it, and as the one who asked
// may look at it (CONTRACT §5.14).
type approvalItem struct {
	ID              string           `json:"id"`
	Status          string           `json:"status" jsonschema:"enum=pending,enum=approved,enum=denied,enum=cancelled,enum=expired,enum=used" jsonschema_description:"pending also while a delay runs."`
	AgentID         string           `json:"agent_id" jsonschema_description:"The agent's name, as the routes of agents know it."`
	RequesterID     string           `json:"requester_id" jsonschema_description:"The agent, admin or token that asked."`
	Action          string           `json:"action" jsonschema:"enum=use,enum=reveal,enum=set,enum=rotate,enum=delete,enum=token"`
	Path            string           `json:"path,omitempty"`
	Tier            string           `json:"tier" jsonschema:"enum=standard,enum=sensitive,enum=critical"`
	AccessTier      string           `json:"access_tier" jsonschema:"enum=standard,enum=sensitive,enum=critical" jsonschema_description:"The same as tier."`
	RequestedScopes []string         `json:"requested_scopes"`
	Details         []approvalDetail `json:"details" jsonschema_description:"Everything else that is agreed to."`
	Reason          string           `json:"reason" jsonschema_description:"What the requester says it is for: a claim."`
	Rule            string           `json:"rule,omitempty"`
	Client          string           `json:"client,omitempty"`
	IPAddress       string           `json:"ip_address,omitempty"`
	Quorum          int              `json:"quorum" jsonschema_description:"How many admins have to agree."`
	Votes           []approvalVote   `json:"votes"`
	CreatedAt       *stamp           `json:"created_at" jsonschema:"nullable"`
	ExpiresAt       *stamp           `json:"expires_at" jsonschema:"nullable" jsonschema_description:"To be decided; once it is approved, to be used."`
	ReadyAt         *stamp           `json:"ready_at" jsonschema:"nullable" jsonschema_description:"When its delay ends; null before the admins agreed."`
	ApprovedAt      *stamp           `json:"approved_at" jsonschema:"nullable"`
	DeniedAt        *stamp           `json:"denied_at" jsonschema:"nullable"`
	Damaged         bool             `json:"damaged,omitzero" jsonschema_description:"Not written by this desk: deny it, which removes it."`
}

type approvalDetail struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type approvalVote struct {
	AdminID string `json:"admin_id"`
	Agreed  bool   `json:"agreed"`
	Reason  string `json:"reason,omitempty"`
	At      stamp  `json:"at"`
}

func shownApproval(r approval.Request) approvalItem {
	out := approvalItem{
		ID: r.ID, Status: string(r.Status), AgentID: strings.TrimPrefix(r.Agent, string(identity.Agent)+":"), RequesterID: r.Requester, Action: string(r.Action), Path: string(r.Path),
		Tier: string(r.Tier), AccessTier: string(r.Tier), RequestedScopes: r.Scopes, Reason: r.Description, Rule: r.Rule, Client: r.Client,
		IPAddress: r.Addr, Quorum: r.Quorum, CreatedAt: at(r.CreatedAt), ExpiresAt: at(r.ExpiresAt), ReadyAt: at(r.ReadyAt), Damaged: r.Damaged,
	}
	if scope := identity.RequiredScope(r.Action, r.Path); scope != "" {
		out.RequestedScopes = []string{scope}
	}
	for _, d := range r.Details {
		out.Details = append(out.Details, approvalDetail{d.Name, d.Text})
	}
	for _, v := range r.Votes {
		out.Votes = append(out.Votes, approvalVote{v.Admin, !v.Deny, v.Reason, stamp{v.At}})
	}
	switch r.Status {
	case approval.Denied:
		out.DeniedAt = at(r.DecidedAt)
	case approval.Approved, approval.Used:
		out.ApprovedAt = at(r.DecidedAt)
	case approval.Pending, approval.Cancelled, approval.Expired:
	}
	return out
}
