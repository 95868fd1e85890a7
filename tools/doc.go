// Package tools is what a model can ask for: the tools of DESIGN §6, free of any
// MCP library, so that every door can offer them.
//
// The one rule: a tool holds no rules. It decodes its arguments strictly, calls
// one method of the broker and shapes the answer; what it refuses by itself are
// arguments that break its schema. No message of this package repeats what was
// passed in: it names the field and the rule.
//
//	for _, t := range tools.All(broker) {
//		offer(t.Name, t.Title, t.Description, t.Input, t.Output, t.Hints)
//	}
//	res := t.Call(ctx, who, json.RawMessage(`{"path":"production/openai/api-key"}`))
//	if res.Failure != nil {
//		reply(res.Failure.JSON()) // code, message and next step for the model
//	} else {
//		reply(res.Structured, res.Text)
//	}
//
// Schemas come from the argument and result types through invopop/jsonschema.
// Choice: they are generated when the tests run and embedded (schema/*.json),
// because generating them at every start costs about as much as the rest of it;
// a test fails when types and files differ. Choice: arguments are decoded by
// hand from JSON tokens. encoding/json was rejected for them: it matches names
// in any case, lets the last duplicate win and puts values into its errors.
//
// Not here: who a caller is, what is allowed (package broker), protocol
// messages (package transport/mcp), logging: a result carries the cause of an
// internal failure for the door to log.
package tools
