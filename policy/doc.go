// Package policy answers who may do what with which secret, from one YAML
// file: parse, check, compile, decide, explain.
//
// The one rule: nothing is permitted unless some one allow rule holds entirely
// and no deny rule matches. The order of rules never matters, a missing
// policy denies, and removing an allow rule or adding a deny rule never grants
// anything.
//
//	file, err := policy.OpenFile(path, onReload)
//	who := policy.Subject{Agent: "claude-1", Door: policy.DoorMCP}
//	d := file.Current().Decide(policy.Request{Subject: who, Right: policy.Use, Path: path, Target: &target})
//	if !d.Allowed {
//		e := file.Current().Explain(…) // e.Sentence, e.Next
//	}
//
// # The file
//
//	version: 1
//	rules:
//	  - name: inference                  # required, unique, 1 to 128 bytes that print
//	    agents: ["claude-*", "@stdio"]   # required: globs over names; @stdio is all over stdio
//	    doors: [mcp, egress]             # mcp rest egress; default [mcp, egress]
//	    paths: ["production/openai/*"]   # required: globs over paths
//	    allow: [list, use]               # or deny; exactly one of both
//	                                     # list use reveal set rotate delete token
//	    when: now.getHours("Europe/Berlin") >= 8   # CEL, see package condition
//	    limits: {ttl: 15m, uses: 100, rate: 60/m}
//	    permanent: true                  # of delete: past the trash, for good
//	    to:
//	      - {host: api.openai.com, methods: [POST], paths: ["/v1/*"]}
//	      - {host: api.openai.com, paths: ["/v1/files/*"], answer: status}   # or fields:/id,/items/*/name
//	    shape: "sk-proj-{handle}"
//	    reason: one line                 # of a deny rule: shown to the model
//	approvals:                           # these are the defaults
//	  sensitive: {quorum: 1, expires: 15m}
//	  critical:  {quorum: 2, delay: 5m, expires: 30m}
//	tests:                               # for "policy test"; they decide nothing
//	  - name: in the morning             # required, unique
//	    agent: claude-1                  # required: one name, or "@stdio"
//	    path: production/openai/api-key  # required
//	    ask: use                         # required: a right
//	    expect: allow                    # required: allow or deny
//	    stdio: true                      # it asks over stdio; "@stdio" and local do anyway
//	    door: mcp                        # default mcp
//	    to: {method: POST, url: "https://api.openai.com/v1/responses"}
//	    now: 2026-01-31T08:00:00+01:00   # what conditions ask about
//	    client: cursor/1.2
//	    ip: 10.1.2.3
//	    tier: critical                   # default standard; none: no such secret
//	    tags: {team: pay}
//	    rule: inference                  # the rule that must decide
//	    ttl: 15m                         # the limits that must hold
//	    uses: 100
//
// A star in a glob is any run of characters, "/" included; nothing else is
// special. Hosts are no globs: a name, an address, or *.example.com for every
// name below; *.com and other suffixes under which strangers register names are
// for deny rules only, and a star reaches across such a suffix in them only. A
// deny rule's URL paths also match a path as servers may read it: /v1/admin
// matches /v1;x=1/admin. A duration is whole days, hours, minutes and seconds (1h30m), a
// rate a number per s, m, h or d. rules: [] allows nothing and must be written.
//
// "to" narrows the right use and none else: a rule with it lists as any other,
// and cannot give reveal, since plaintext has no destination. "answer" shows of
// what comes back no more than it says, and no more than the secret's own
// destination shows; where several entries cover a request, what one of them
// shows is shown. Limits are upper
// bounds; where several rules hold, the most generous of each counts, and no
// limit is the most generous. Without "permanent" the right delete reaches the
// trash only.
//
// # Choices
//
// Views. The rules are compiled for each (agent, door, right) when first asked
// for, into a tree over literal path prefixes, where rules with the same
// prefix are summed up: any number of prefix* and literal rules costs the
// same. Globs of another shape cost one match each for the rules that share
// the prefix, and "to" one match for each rule that names the host. A single
// tree for all was rejected: a walk would visit the rules of every agent. One
// would notice that this was wrong by views thrashing: more than maxViews
// combinations in use at once.
//
// Conditions. A rule with a "when" is kept out of the sums and tried one by one,
// about a microsecond each, at the prefix it has. What it asks about the secret
// is handed in by the caller, who looks it up only when [Policy.NeedsSecret] says
// so: this package stays without I/O, and a policy without such a condition costs
// no look. Facts that were not handed in are errors rather than empty: a caller
// who forgets one gets less, never more. An error is false in an allow rule and
// true in a deny rule, so that taking a tag away never grants anything by
// mistake.
//
// The file's own tests are not run when it is read again: a failing one would
// keep the last good policy, perhaps against a correction made in a hurry.
//
// Strict YAML. Anchors, aliases, tags, merge keys, directives, second
// documents, tabs and characters that do not print are errors, and so is what
// the parser could choke on (depth, thousands of fields). A policy needs none
// of them, and a reviewer should see all there is. The library's decoder into
// structs was rejected, since it gives no place for a rule's own checks.
//
// A deny rule with "to" says nothing while the destination is unknown. Denying
// the handle at once was rejected: it would deny all destinations for one.
//
// # What it does not do
//
// It counts nothing (rates and uses are the caller's), asks no clock, looks at no
// secret, and is not asked about the owner.
package policy
