package tools

import (
	"context"
	"encoding/json"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

type checkApprovalIn struct {
	ID string `json:"approval_id" jsonschema:"required,minLength=1,maxLength=32" jsonschema_description:"The id of the request, such as apr_3fZq0aB7xK, from the answer that told of it."`
}

func (in *checkApprovalIn) set(a *args, name string) bool {
	if name != "approval_id" {
		return false
	}
	in.ID = a.text(32)
	return true
}

type checkApprovalOut struct {
	ID        string   `json:"approval_id"`
	Status    string   `json:"status" jsonschema:"enum=pending,enum=approved,enum=denied,enum=cancelled,enum=expired,enum=used"`
	Action    string   `json:"action" jsonschema_description:"What was asked for: use is a handle."`
	Path      string   `json:"path,omitempty"`
	Scopes    []string `json:"scopes,omitempty" jsonschema_description:"Of a token."`
	Agreed    int      `json:"agreed" jsonschema_description:"How many people have agreed."`
	Needed    int      `json:"needed" jsonschema_description:"How many must agree."`
	ReadyAt   string   `json:"ready_at,omitempty" jsonschema:"format=date-time" jsonschema_description:"Approved, but not to be used before."`
	ExpiresAt string   `json:"expires_at" jsonschema:"format=date-time"`
	Reason    string   `json:"reason,omitempty" jsonschema_description:"What the person who denied it said."`
	Next      string   `json:"next"`
}

func checkApproval(b Broker) Tool {
	t := Tool{
		Name:        "check_approval",
		Title:       "Check an approval",
		Description: `See how a request stands that people must approve: pending, approved, denied, cancelled, expired or used, and what to do next. It changes nothing, and asking often does not hurry anybody: ask again after a minute or so.`,
		Hints:       Hints{ReadOnly: true, Destructive: false, Idempotent: true, OpenWorld: false},
		Input:       schema("check_approval.input"),
		Output:      schema("check_approval.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in checkApprovalIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		if in.ID == "" {
			return Result{Failure: badArgument("approval_id", "is missing")}
		}
		r, err := b.Approval(ctx, who, in.ID)
		if err != nil {
			return failed(err)
		}
		out := checkApprovalOut{
			ID: r.ID, Status: string(r.Status), Action: string(r.Action), Path: string(r.Path), Scopes: r.Scopes, Agreed: r.Agreed(), Needed: r.Quorum,
			ReadyAt: stamp(r.ReadyAt), ExpiresAt: stamp(r.ExpiresAt), Next: afterApproval(r),
		}
		for _, v := range r.Votes {
			if v.Deny {
				out.Reason = v.Reason
			}
		}
		return answer(out)
	}
	return t
}

func afterApproval(r approval.Request) string {
	switch r.Status {
	case approval.Pending:
		if !r.ReadyAt.IsZero() {
			return "It is approved and waits, so that it can still be stopped. Make the same call as before after ready_at."
		}
		return "Tell the person you work for that it waits, and go on with something else."
	case approval.Approved:
		return "Make exactly the same call as before now: it passes once."
	case approval.Denied:
		return "Do not ask again for this. Tell the person you work for."
	case approval.Used:
		return "It was used and is over. Ask anew if you need it again."
	case approval.Cancelled, approval.Expired:
	}
	return "It is over. Ask anew if you still need it."
}
