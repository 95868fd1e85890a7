package broker

import (
	"context"
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// ExplainRequest asks whether something would be allowed. Nothing is done,
// counted or recorded.
type ExplainRequest struct {
	Path   vault.Path
	Right  policy.Right
	Method string    // with URL: the request a handle would be used for; "" is GET
	URL    string    // "": no particular destination
	Now    time.Time // when it would be asked; zero is now
	// Hypothetical asks about an agent that need not be registered; the owner does.
	Hypothetical bool
}

// Explanation is the answer, in the same words for a model and for a person.
type Explanation struct {
	Allowed      bool
	Code         string // why not: a [Code] or the code of a failure; "" when allowed
	Rule         string // the policy rule that decided, if one did
	Reason       string
	Next         string
	Destinations []vault.Destination // where the secret may go, when use is allowed
	Considered   []policy.RuleVerdict
}

// Explain answers what who would be told. What the policy hides from who stays
// hidden: without a right the answer does not depend on whether the secret
// exists. Errors: *[redeem.Refusal] for a URL that no request may have, and
// faults of the vault.
func (b *Broker) Explain(ctx context.Context, who identity.Principal, r ExplainRequest) (Explanation, error) {
	look, err := b.present(ctx, who, r)
	if err != nil {
		return Explanation{}, err
	}
	var target *vault.Target
	if r.URL != "" {
		method := r.Method
		if method == "" {
			method = "GET"
		}
		prepared, err := redeem.Prepare(redeem.Call{Method: method, URL: r.URL})
		if err != nil {
			return Explanation{}, err
		}
		t := prepared.Target()
		target = &t
	}
	j := judge{who, b.c.Policy.Current(), r.Now, &turn{b: b}}
	if j.now.IsZero() {
		j.now = b.now()
	}
	asked, err := j.rule(look, r.Right, r.Path, target)
	if err != nil {
		return Explanation{}, err
	}
	said := asked.explain()
	out := Explanation{
		Allowed: said.Allowed, Rule: said.Rule, Reason: said.Sentence, Next: said.Next, Considered: said.Considered,
	}
	if !said.Allowed {
		out.Code = string(asked.code())
		return out, nil
	}
	if r.Right == policy.Set {
		if shown, err := j.rule(look, policy.List, r.Path, nil); err != nil || !shown.Allowed {
			out.Next = "Go ahead. You may not list this path, so you are not told what is there."
			return out, err
		}
	}
	err = b.wouldRefuse(ctx, asked, look, target, &out)
	if err == nil {
		return out, nil
	}
	denied := ByVault(err)
	_, code, known := outcome(err)
	switch {
	case denied != nil, errors.As(err, &denied):
		out.Reason, out.Next = denied.Reason, denied.Next
	case known:
		out.Reason, out.Next = "The policy allows it, but: "+inOwnWords(err)+".", ""
	default:
		return Explanation{}, err
	}
	out.Allowed, out.Code = false, code
	return out, nil
}

// present refuses an agent that was revoked since it connected, and looks up the
// secret in the same transaction, whether or not the rules then ask for it. A vault
// elsewhere is asked only if they do, or open it.
func (b *Broker) present(ctx context.Context, who identity.Principal, r ExplainRequest) (lookup, error) {
	var meta vault.Metadata
	var missing error
	err := b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, b.now()); err != nil && !r.Hypothetical {
			return err
		}
		if b.near != nil {
			meta, missing = b.near.InTx(tx).Describe(r.Path)
		}
		return nil
	})
	if b.far != nil {
		return (&turn{b: b}).outside(ctx), err
	}
	return func(vault.Path) (vault.Metadata, error) { return meta, missing }, err
}

// wouldRefuse returns the refusal that a permitted request would still meet.
func (b *Broker) wouldRefuse(ctx context.Context, asked ruling, look lookup, target *vault.Target, out *Explanation) error {
	who, right := asked.judge.who, asked.request.Right
	meta, err := look(asked.request.Path)
	if right == policy.Set {
		return b.wouldRefuseSet(ctx, asked, meta, err, out)
	}
	if err != nil {
		return err
	}
	if right == policy.List {
		return nil
	}
	if meta.Tier != vault.Standard && !clearedToken(who, right, meta.Tier) {
		return approvalRequired(meta.Tier)
	}
	if right == policy.Delete {
		return nil
	}
	if err := usable(meta, vault.Latest, b.now()); err != nil {
		return err
	}
	if right != policy.Use {
		return nil
	}
	out.Destinations = narrowed(meta.Destinations, asked.To)
	if len(out.Destinations) == 0 {
		return noDestination(meta)
	}
	if target == nil {
		return nil
	}
	for _, to := range meta.Destinations {
		if to.HTTP != nil && to.HTTP.Allows(*target) {
			return nil
		}
	}
	return destinationDenied(meta, *target)
}

// wouldRefuseSet tells what setting a value would do to what is there.
func (b *Broker) wouldRefuseSet(ctx context.Context, asked ruling, meta vault.Metadata, err error, out *Explanation) error {
	switch {
	case errors.Is(err, vault.ErrNotFound):
		out.Next = "Go ahead: it makes a new secret, which can be used once a human says where it may go."
		return b.overTrash(ctx, &asked)
	case err != nil:
		return err
	case meta.Tier != vault.Standard:
		return approvalRequired(meta.Tier)
	default:
		out.Next = "Go ahead: it replaces the value for everybody who uses this secret, and nothing else."
		return nil
	}
}
