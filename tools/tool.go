package tools

import (
	"context"
	"encoding/json"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Broker is what the tools call; *[broker.Broker] is one.
type Broker interface {
	List(ctx context.Context, who identity.Principal, r broker.ListRequest) (vault.Page, error)
	Issue(ctx context.Context, who identity.Principal, r broker.IssueRequest) (broker.Ticket, error)
	Redacted(ctx context.Context, who identity.Principal, p vault.Path) (broker.Redacted, error)
	Reveal(ctx context.Context, who identity.Principal, p vault.Path, version int) (vault.Secret, error)
	HTTP(ctx context.Context, who identity.Principal, call redeem.Call) (broker.Answer, error)
	Rotate(ctx context.Context, who identity.Principal, r broker.RotateRequest) (broker.Rotated, error)
	Set(ctx context.Context, who identity.Principal, r broker.SetRequest) (broker.Stored, error)
	Delete(ctx context.Context, who identity.Principal, p vault.Path, permanent bool) (broker.Deleted, error)
	Explain(ctx context.Context, who identity.Principal, r broker.ExplainRequest) (broker.Explanation, error)
	IssueToken(ctx context.Context, who identity.Principal, r broker.TokenRequest) (broker.IssuedToken, error)
	Approval(ctx context.Context, who identity.Principal, id string) (approval.Request, error)
}

// Tool is one thing a model can ask for. Tools are immutable and safe for
// concurrent use.
type Tool struct {
	Name        string // [a-z_]+
	Title       string // for people
	Description string // for a model
	Hints       Hints
	Input       json.RawMessage // JSON Schema of the arguments, a closed object
	Output      json.RawMessage // JSON Schema that Result.Structured satisfies

	// Call decodes args, an object (nothing at all counts as an empty one), and
	// asks the broker as who. It never panics on bad args and never blocks
	// longer than the broker does.
	Call func(ctx context.Context, who identity.Principal, args json.RawMessage) Result
}

// Hints describe a tool's effects to a client. They are advice to the client
// and decide nothing here.
type Hints struct {
	ReadOnly    bool // changes nothing
	Destructive bool // may take away what was there
	Idempotent  bool // asking twice has the effect of asking once
	OpenWorld   bool // reaches beyond this desk
}

// Result is the answer of a [Tool]: either Structured and Text, or Failure.
type Result struct {
	Structured json.RawMessage // a compact JSON object that satisfies [Tool.Output]
	Text       string          // the same for models that read text
	Failure    *Failure
	// Cause is the error behind a Failure of code [Internal], for its type to be
	// logged with Failure.Reference. Its text may be anything: do not show it.
	Cause error
}

// All returns the tools over b in the order of their names.
func All(b Broker) []Tool {
	return []Tool{
		checkApproval(b),
		deleteSecret(b),
		explainAccess(b),
		getSecret(b),
		httpRequest(b),
		listSecrets(b),
		requestToken(b),
		rotateSecret(b),
		setSecret(b),
	}
}

// answer encodes v once and uses the bytes twice.
func answer(v any) Result {
	structured, err := encode(v)
	if err != nil {
		return failed(err)
	}
	return Result{Structured: structured, Text: string(structured)}
}
