package tools

import (
	"context"
	"encoding/json"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

type explainAccessIn struct {
	where
	Action string `json:"action,omitempty" jsonschema:"enum=list,enum=use,enum=reveal,enum=set,enum=rotate,enum=delete,enum=token,default=use" jsonschema_description:"What you would do. use: get a handle and make requests with it. reveal: read the plaintext."`
	URL    string `json:"url,omitempty" jsonschema:"maxLength=8192" jsonschema_description:"With action use: the request you would make. Leave it out to ask in general."`
	Method string `json:"method,omitempty" jsonschema:"pattern=^[A-Z]{1\\,20}$,default=GET" jsonschema_description:"HTTP method of that request, in capitals."`
}

func (in *explainAccessIn) set(a *args, name string) bool {
	switch name {
	case "action":
		in.Action = a.oneOf(
			string(policy.List), string(policy.Use), string(policy.Reveal), string(policy.Set),
			string(policy.Rotate), string(policy.Delete), string(policy.Token),
		)
	case "url":
		in.URL = a.text(redeem.MaxURLBytes)
	case "method":
		in.Method = a.method()
	default:
		return in.where.set(a, name)
	}
	return true
}

type explainAccessOut struct {
	Allowed      bool          `json:"allowed" jsonschema_description:"Whether it would be done now."`
	Code         string        `json:"code,omitempty" jsonschema_description:"Why not, in one word; absent when allowed."`
	Reason       string        `json:"reason" jsonschema_description:"Why, in a sentence."`
	Rule         string        `json:"rule,omitempty" jsonschema_description:"Name of the policy rule that decided."`
	Next         string        `json:"next,omitempty" jsonschema_description:"What to do next."`
	Destinations []destination `json:"destinations" jsonschema_description:"Where the secret may go, when it may be used."`
	Considered   []considered  `json:"considered" jsonschema_description:"The rules that were looked at."`
}

type considered struct {
	Rule string `json:"rule"`
	Why  string `json:"why" jsonschema_description:"Why it does or does not apply."`
}

func explainAccess(b Broker) Tool {
	t := Tool{
		Name:        "explain_access",
		Title:       "Explain access",
		Description: `Say whether you may do something with a secret, and why or why not: the rule that decides, in a sentence, and what to do next. Nothing is done or counted. With url and method, ask about one request you would make with http_request.`,
		Hints:       Hints{ReadOnly: true, Destructive: false, Idempotent: true, OpenWorld: false},
		Input:       schema("explain_access.input"),
		Output:      schema("explain_access.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in explainAccessIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		p, f := in.resolve()
		switch {
		case f != nil:
		case in.URL != "" && in.Action != "" && in.Action != string(policy.Use):
			f = badArgument("url", "is for action use only")
		case in.Method != "" && in.URL == "":
			f = badArgument("method", "stands without url")
		}
		if f != nil {
			return Result{Failure: f}
		}
		if in.Action == "" {
			in.Action = string(policy.Use)
		}
		got, err := b.Explain(ctx, who, broker.ExplainRequest{Path: p, Right: policy.Right(in.Action), Method: in.Method, URL: in.URL})
		if err != nil {
			return failed(err)
		}
		out := explainAccessOut{
			Allowed: got.Allowed, Code: got.Code, Reason: got.Reason, Rule: got.Rule, Next: got.Next,
			Destinations: destinations(got.Destinations), Considered: make([]considered, 0, len(got.Considered)),
		}
		for _, c := range got.Considered {
			out.Considered = append(out.Considered, considered(c))
		}
		return answer(out)
	}
	return t
}
