package rest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httperror"
)

// waiting is the id of the request that err says people have to decide first,
// "" for any other error.
func waiting(err error) string {
	var denied *broker.Denied
	if errors.As(err, &denied) && denied.Code == broker.ApprovalRequired {
		return denied.Approval
	}
	return ""
}

// pendingRead is the answer to a direct read that waits for people (edition A).
type pendingRead struct {
	httperror.Body
	Status            string `json:"status" jsonschema:"enum=pending"`
	RequiresApproval  bool   `json:"requires_approval"`
	ApprovalStatus    string `json:"approval_status" jsonschema:"enum=pending"`
	ApprovalID        string `json:"approval_id"`
	ApprovalRequestID string `json:"approval_request_id" jsonschema_description:"The same as approval_id."`
}

func (pendingRead) httpStatus() int { return http.StatusAccepted }

// read answers a reading that failed with err. 202 is for an agent's own key,
// and not for the command line: whoever comes with a token, or reads the value
// out of any 2xx, gets 403 (R8).
func (c *call) read(err error) (any, error) {
	id := waiting(err)
	if id == "" || c.who.Kind != identity.Agent || c.isCLI() {
		return nil, err
	}
	no, _ := refusal(err)
	no.Path = string(c.path)
	return pendingRead{no.Body(), "pending", true, "pending", id, id}, nil
}

// approvalsQuery selects a page.
type approvalsQuery struct {
	Status string `json:"status,omitempty" jsonschema:"enum=pending,enum=approved,enum=denied,enum=cancelled,enum=expired,enum=used"`
	pageQuery
	after int64
}

func (a *approvalsQuery) read(q *query) {
	a.Status = q.text("status")
	a.pageQuery.read(q)
	if a.Cursor == "" {
		return
	}
	var err error
	if a.after, err = strconv.ParseInt(a.Cursor, 10, 64); err != nil || a.after < 1 {
		q.breaks("cursor", "is not one that a listing returned")
	}
}

// approvalPage is a page of requests, newest first.
type approvalPage struct {
	Items      []approvalItem `json:"items"`
	NextCursor *string        `json:"next_cursor" jsonschema:"nullable"`
	Limit      int            `json:"limit" jsonschema_description:"As it was applied."`
}

func (h *Handler) listApprovals(c *call, in *approvalsQuery) (approvalPage, error) {
	page, err := h.desk.Approvals(c.ctx, c.who, approval.Query{Status: approval.Status(in.Status), After: in.after, Limit: in.Limit})
	if err != nil {
		return approvalPage{}, err
	}
	out := approvalPage{Items: make([]approvalItem, len(page.Items)), Limit: in.Limit}
	for i, r := range page.Items {
		out.Items[i] = shownApproval(r)
	}
	if page.Next != 0 {
		next := strconv.FormatInt(page.Next, 10)
		out.NextCursor = &next
	}
	return out, nil
}

// claim is a request and, for the one who asked and once, the token it was for.
type claim struct {
	token
	Status  string       `json:"status" jsonschema:"enum=pending,enum=approved,enum=denied,enum=cancelled,enum=expired,enum=used"`
	Request approvalItem `json:"request"`
}

// getApproval looks at a request. For edition A's clients, which wait for their
// token here, it makes the token when it is approved (R7).
func (h *Handler) getApproval(c *call, _ *none) (claim, error) {
	r, issued, err := h.desk.Claim(c.ctx, c.who, c.id)
	if err != nil {
		return claim{}, err
	}
	out := claim{Status: string(r.Status), Request: shownApproval(r)}
	if issued != nil {
		out.token, out.Status = given(*issued), string(approval.Approved)
	} else {
		out.Scope, out.Scopes, out.ExpiresAt = strings.Join(r.Scopes, ", "), r.Scopes, at(r.ExpiresAt)
		out.AgentID, out.Description = orNull(out.Request.AgentID), orNull(r.Description)
		out.RequiresApproval, out.ApprovalStatus = r.Status == approval.Pending, known(r.Status)
	}
	out.ApprovalID, out.ApprovalRequestID = &r.ID, &r.ID
	return out, nil
}

// known is a status in the words that both editions know.
func known(s approval.Status) string {
	switch s {
	case approval.Used:
		return string(approval.Approved)
	case approval.Cancelled:
		return string(approval.Expired)
	case approval.Pending, approval.Approved, approval.Denied, approval.Expired:
	}
	return string(s)
}

// watchApproval looks at a request and changes nothing: edition B's clients get
// their token by asking for it again (R7).
func (h *Handler) watchApproval(c *call, _ *none) (approvalItem, error) {
	r, err := h.desk.Approval(c.ctx, c.who, c.id)
	if err != nil {
		return approvalItem{}, err
	}
	out := shownApproval(r)
	out.Status = known(r.Status)
	return out, nil
}

// vote is the body of a decision; edition B's command line sends none to approve.
type vote struct {
	Reason string `json:"reason,omitempty" jsonschema:"maxLength=1024"`
}

func (h *Handler) approve(c *call, in *vote) (approvalItem, error) {
	r, err := h.desk.Approve(c.ctx, c.who, c.id, in.Reason)
	return shownApproval(r), err
}

func (h *Handler) deny(c *call, in *vote) (approvalItem, error) {
	r, err := h.desk.Deny(c.ctx, c.who, c.id, in.Reason)
	return shownApproval(r), err
}

func (h *Handler) cancelApproval(c *call, _ *none) (approvalItem, error) {
	r, err := h.desk.CancelApproval(c.ctx, c.who, c.id)
	return shownApproval(r), err
}
