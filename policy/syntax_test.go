package policy_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
)

const head = "version: 1\nrules:\n"

// ruleWith is a good rule with more lines, which start on line 7.
func ruleWith(lines ...string) string {
	return head + "  - name: a\n    agents: [\"*\"]\n    paths: [\"*\"]\n    allow: [list, use]\n    " + strings.Join(lines, "\n    ") + "\n"
}

// broken are policies with one mistake each, and the whole message.
var broken = []struct{ name, src, want string }{
	// The file.
	{"empty", "", `p:1:1: the policy is empty; start with version: 1`},
	{"only comments", "# nothing\n", `p:1:1: the policy is empty; start with version: 1`},
	{"only a header", "---\n", `p:1:1: the policy is empty; start with version: 1`},
	{"blank lines", "\n\n", `p:1:1: the policy is empty; start with version: 1`},
	{"text", "hello\n", `p:1:1: a policy must have fields, not text; write name: value lines`},
	{"list", "- a\n", `p:1:1: a policy must have fields, not a list; write name: value lines`},
	{"no version", "rules: []\n", `p:1:1: version is missing; start with version: 1`},
	{"other version", "version: 2\nrules: []\n", `p:1:10: unknown version; write version: 1`},
	{"version as text", "version: \"1\"\nrules: []\n", `p:1:10: unknown version; write version: 1`},
	{"no rules", "version: 1\n", `p:1:1: rules are missing; write rules: [] to allow nothing`},
	{"rules without value", "version: 1\nrules:\n", `p:2:1: field "rules" has no value; write one, or remove the field`},
	{"rules as fields", "version: 1\nrules:\n  a: b\n", `p:3:3: rules must be a list, not fields; start each rule with - name:`},
	{"rules as text", "version: 1\nrules: none\n", `p:2:8: rules must be a list, not text; start each rule with - name:`},
	{"rule as text", "version: 1\nrules: [a]\n", `p:2:9: a rule must have fields, not text; write name: value lines`},
	{"empty rule", "version: 1\nrules:\n  - {}\n", `p:3:5: a rule has no fields`},
	{"null rule", "version: 1\nrules:\n  -\n", `p:3:5: a rule must have fields, not nothing; write name: value lines`},
	{"unknown top field", "version: 1\nrule: []\n", `p:2:1: unknown field "rule" in a policy; did you mean rules?`},
	{"far unknown top field", "version: 1\nbananas: []\n", `p:2:1: unknown field "bananas" in a policy; known are version, rules, approvals, tests`},
	{"top field twice", "version: 1\nrules: []\nversion: 1\n", `p:3:1: field "version" is on line 1 already; keep one of them`},
	{"number as field", "version: 1\n12: 1\n", `p:2:1: a field's name must be a word, not a number`},
	{"list as field", "version: 1\n[a]: 1\n", `p:2:4: found an invalid key for this map`},
	{"null as field", "version: 1\nnull: 1\n", `p:2:1: a field's name must be a word, not nothing`},
	// Characters.
	{"byte order mark", "\ufeffversion: 1\nrules: []\n", `p:1:1: byte order mark at the start; save the file as UTF-8 without a byte order mark`},
	{"utf-16", "\xff\xfev\x00", `p:1:1: byte that is not UTF-8; save the file as UTF-8`},
	{"tab indent", "version: 1\nrules:\n\t- name: a\n", `p:3:1: tab character; use spaces`},
	{"tab in comment", "version: 1\nrules: []\t# x\n", `p:2:10: tab character; use spaces`},
	{"nul", "version: 1\nrules: []\n# é\x00\n", `p:3:4: character U+0000, which does not print; remove it`},
	{"escape", "version: 1\nrules: [] # \x1b[31m\n", `p:2:13: character U+001B, which does not print; remove it`},
	{"bidi override", "version: 1\nrules: [] # \u202eallow\n", `p:2:13: character U+202E, which does not print; remove it`},
	{"no-break space", "version:\u00a01\nrules: []\n", `p:1:9: character U+00A0, which does not print; remove it`},
	{"line separator", "version: 1\u2028rules: []\n", `p:1:11: character U+2028, which does not print; remove it`},
	{"not utf-8", "version: 1\nrules: [] # \xe9\n", `p:2:13: byte that is not UTF-8; save the file as UTF-8`},
	{"lone carriage return", "version: 1\rrules: []\r", `p:1:11: character U+000D, which does not print; remove it`},
	{"too large", "version: 1\nrules: []\n" + strings.Repeat("#", policy.MaxBytes), `p:1:1: the policy is larger than 4194304 bytes`},
	// YAML.
	{"alias", head + "  - name: a\n    agents: [*]\n", `p:4:14: a policy has no YAML aliases; put patterns that start with * in double quotes: "*"`},
	{"star in block list", head + "  - name: a\n    agents:\n      - *\n", `p:5:9: a policy has no YAML aliases; put patterns that start with * in double quotes: "*"`},
	{"alias bomb", "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", `p:1:4: a policy has no YAML anchors; put text that starts with & in double quotes`},
	{"anchor", "version: 1\nrules: &r []\n", `p:2:8: a policy has no YAML anchors; put text that starts with & in double quotes`},
	{"merge key", "version: 1\nrules: []\n<<: {a: b}\n", `p:3:1: a policy has no YAML merge keys; write the fields out`},
	{"tag", "version: !!int 1\nrules: []\n", `p:1:10: a policy has no YAML tags; put text that starts with ! in double quotes`},
	{"directive", "%YAML 1.2\n---\nversion: 1\nrules: []\n", `p:1:1: a policy has no YAML directives; remove the line`},
	{"complex key", "? version\n: 1\nrules: []\n", `p:1:1: a policy has no YAML complex keys; write name: value`},
	{"two documents", "version: 1\nrules: []\n---\nversion: 1\nrules: []\n", `p:3:1: the file holds more than one document; keep one and remove the others`},
	{"end of document", "version: 1\nrules: []\n...\n", `p:3:1: a policy has no end-of-document line; remove the line`},
	{"open list", head + "  - name: a\n    agents: [x\n    paths: [y]\n", `p:5:5: ',' or ']' must be specified`},
	{"open quote", head + "  - name: \"a\n    agents: [x]\n", `p:3:11: could not find end character of double-quoted text`},
	{"bad escape", head + "  - name: \"\\q\"\n", `p:3:13: found unknown escape character 'q'`},
	{"bad indent", head + "  - name: a\n   agents: [x]\n", `p:4:4: value is not allowed in this context`},
	{"colon in text", head + "  - name: a: b\n", `p:3:11: mapping value is not allowed in this context`},
	{"deep brackets", "version: 1\nrules: " + strings.Repeat("[", 20000) + "\n", `p:2:16: brackets are nested more than 8 deep`},
	{"deep braces", "version: 1\nrules: " + strings.Repeat("{a: ", 20000) + "\n", `p:2:40: brackets are nested more than 8 deep`},
	{"deep dashes", "version: 1\nrules:\n" + strings.Repeat("- ", 20000) + "a\n", `p:3:65: text is indented more than 64 columns`},
	{"deep indent", func() string {
		var b strings.Builder
		for i := range 1000 {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}(), `p:65:65: text is indented more than 64 columns`},
	{"many fields", strings.Repeat("a: 1\n", 20000), `p:65:1: more than 64 fields in one place`},
	{"many fields in braces", "version: 1\nrules: [{" + strings.Repeat("a: 1, ", 20000) + "}]\n", `p:2:395: more than 64 fields in one place`},
	{"many words", "version: 1\nrules: [" + strings.Repeat("a,", 1<<20) + "]\n", `p:2:1048579: the policy has more than 1048576 words and marks`},
	// Rules.
	{"unknown field", ruleWith("alow: [use]"), `p:7:5: unknown field "alow" in a rule; did you mean allow?`},
	{"far unknown field", ruleWith("bananas: [use]"), `p:7:5: unknown field "bananas" in a rule; known are name, agents, doors, paths, allow, deny, when, limits, permanent, to, shape, reason`},
	{"field twice", ruleWith("agents: [x]"), `p:7:5: field "agents" is on line 4 already; keep one of them`},
	{"field without value", ruleWith("shape:"), `p:7:5: field "shape" has no value; write one, or remove the field`},
	{"rule name twice", ruleWith() + "\n  - name: b\n    agents: [x]\n    paths: [x]\n    allow: [use]\n  - name: a\n    agents: [x]\n", `p:13:11: rule name "a" is taken on line 3 already; give each rule its own name`},
	{"rule name twice, quoted", ruleWith() + "\n  - {agents: [x], name: \"a\"}\n", `p:9:25: rule name "a" is taken on line 3 already; give each rule its own name`},
	{"no name", head + "  - agents: [x]\n    paths: [x]\n    allow: [use]\n", `p:3:5: a rule has no name; add name: and a name of its own`},
	{"empty name", head + "  - name: \"\"\n", `p:3:11: name is empty`},
	{"blank name", head + "  - name: \" a\"\n", `p:3:11: name starts or ends with a space`},
	{"name as number", head + "  - name: 12\n", `p:3:11: name must be text, not a number; put it in double quotes`},
	{"name as bool", head + "  - name: true\n", `p:3:11: name must be text, not true or false; put it in double quotes`},
	{"name as list", head + "  - name: [a]\n", `p:3:11: name must be text, not a list; put it in double quotes`},
	{"long name", head + "  - name: " + strings.Repeat("n", 129) + "\n", `p:3:11: name is longer than 128 bytes`},
	{"name with line feed", head + "  - name: \"a\\nb\"\n", `p:3:11: name has a character that does not print`},
	{"no agents", head + "  - name: a\n    paths: [x]\n    allow: [use]\n", `p:3:5: rule "a" names no agents; add agents: ["@stdio"] or the agents' names`},
	{"agents empty", head + "  - name: a\n    agents: []\n", `p:4:13: agents is an empty list; write agents: ["@stdio"]`},
	{"agents as text", head + "  - name: a\n    agents: claude\n", `p:4:13: agents must be a list, not text; write agents: ["@stdio"]`},
	{"agents as fields", head + "  - name: a\n    agents: {a: b}\n", `p:4:13: agents must be a list, not fields; write agents: ["@stdio"]`},
	{"agent as number", head + "  - name: a\n    agents: [x, 7]\n", `p:4:17: an agent must be text, not a number; put it in double quotes`},
	{"agent as null", head + "  - name: a\n    agents: [x, ~]\n", `p:4:17: an agent must be text, not nothing; put it in double quotes`},
	{"agent unquoted group", head + "  - name: a\n    agents: [@stdio]\n", `p:4:14: '@' is a reserved character; put names that start with @ in double quotes: "@stdio"`},
	{"agent unknown group", head + "  - name: a\n    agents: [\"@stido\"]\n", `p:4:14: unknown group "@stido"; there is @stdio only; did you mean @stdio?`},
	{"agent far group", head + "  - name: a\n    agents: [\"@all\"]\n", `p:4:14: unknown group "@all"; there is @stdio only`},
	{"agent empty", head + "  - name: a\n    agents: [\"\"]\n", `p:4:14: an agent's name is empty; write "*" for every agent`},
	{"agent with space", head + "  - name: a\n    agents:\n      - ok\n      - \"a b\"\n", `p:6:9: an agent's name has 1 to 64 of A-Z a-z 0-9 _ - and * for any run of them`},
	{"agent long", head + "  - name: a\n    agents: [" + strings.Repeat("x", 65) + "]\n", `p:4:14: an agent's name has 1 to 64 of A-Z a-z 0-9 _ - and * for any run of them`},
	{"no paths", head + "  - name: a\n    agents: [x]\n    allow: [use]\n", `p:3:5: rule "a" names no paths; add paths: ["*"] or narrower ones`},
	{"paths empty", head + "  - name: a\n    agents: [x]\n    paths: []\n", `p:5:12: paths is an empty list; write paths: ["production/openai/*"]`},
	{"path empty", head + "  - name: a\n    agents: [x]\n    paths: [\"\"]\n", `p:5:13: a path is empty; write "*" for every path`},
	{"path absolute", head + "  - name: a\n    paths: [/production/*]\n", `p:4:13: a path starts with a slash; remove it; paths look like production/openai/api-key`},
	{"path with end slash", head + "  - name: a\n    paths: [production/]\n", `p:4:13: a path ends with a slash; write /* for everything below`},
	{"path with dots", head + "  - name: a\n    paths: [production/../*]\n", `p:4:13: path segment 2 is a dot segment; paths look like "production/openai/*"; * is the only special character`},
	{"path with empty segment", head + "  - name: a\n    paths: [a//*]\n", `p:4:13: path segment 2 is empty; paths look like "production/openai/*"; * is the only special character`},
	{"path with question mark", head + "  - name: a\n    paths: [ok, \"a/?\"]\n", `p:4:17: path segment 2 has a character outside A-Z a-z 0-9 . _ - and space; paths look like "production/openai/*"; * is the only special character`},
	{"path of 600 bytes", head + "  - name: a\n    paths: [" + strings.Repeat("p", 600) + "]\n", `p:4:13: path is longer than 512 bytes; paths look like "production/openai/*"; * is the only special character`},
	{"path of 17 segments", head + "  - name: a\n    paths: [\"" + strings.Repeat("p/", 16) + "*\"]\n", `p:4:13: path has more than 16 segments; paths look like "production/openai/*"; * is the only special character`},
	{"unknown right", head + "  - name: a\n    allow: [list, uses]\n", `p:4:19: unknown right "uses"; did you mean use?`},
	{"far unknown right", head + "  - name: a\n    allow: [everything]\n", `p:4:13: unknown right "everything"; known are list, use, reveal, set, rotate, delete, token`},
	{"star as right", head + "  - name: a\n    allow: [\"*\"]\n", `p:4:13: unknown right "*"; known are list, use, reveal, set, rotate, delete, token`},
	{"rights empty", head + "  - name: a\n    deny: []\n", `p:4:11: deny is an empty list; write deny: [list, use]`},
	{"rights as text", head + "  - name: a\n    allow: use\n", `p:4:12: allow must be a list, not text; write allow: [list, use]`},
	{"neither allow nor deny", head + "  - name: a\n    agents: [x]\n    paths: [x]\n", `p:3:5: rule "a" neither allows nor denies; add allow: [list, use] or deny: [use]`},
	{"both allow and deny", ruleWith("deny: [reveal]"), `p:7:5: rule "a" both allows and denies; make two rules of it`},
	{"unknown door", ruleWith("doors: [mpc]"), `p:7:13: unknown door "mpc"; did you mean mcp?`},
	{"cli door", ruleWith("doors: [mcp, cli]"), `p:7:18: unknown door "cli"; the command line is the owner's, whom the policy is not asked about`},
	{"doors empty", ruleWith("doors: []"), `p:7:12: doors is an empty list; write doors: [mcp]`},
	// Limits.
	{"limits empty", ruleWith("limits: {}"), `p:7:13: limits has no fields`},
	{"limits as text", ruleWith("limits: none"), `p:7:13: limits must have fields, not text; write name: value lines`},
	{"unknown limit", ruleWith("limits: {tll: 15m}"), `p:7:14: unknown field "tll" in limits; did you mean ttl?`},
	{"ttl without unit", ruleWith("limits: {ttl: 900}"), `p:7:19: ttl needs a unit of time; write it like 90s, 15m, 1h30m or 2d`},
	{"ttl bad", ruleWith("limits: {ttl: 15 minutes}"), `p:7:19: ttl is not a duration; write it like 90s, 15m, 1h30m or 2d`},
	{"ttl fraction", ruleWith("limits: {ttl: 1.5h}"), `p:7:19: ttl is not a duration; write it like 90s, 15m, 1h30m or 2d`},
	{"ttl negative", ruleWith("limits: {ttl: -5m}"), `p:7:19: ttl is not a duration; write it like 90s, 15m, 1h30m or 2d`},
	{"ttl zero", ruleWith("limits: {ttl: 0s}"), `p:7:19: ttl is not between 1s and 365d`},
	{"ttl too long", ruleWith("limits: {ttl: 366d}"), `p:7:19: ttl is not between 1s and 365d`},
	{"ttl overflow", ruleWith("limits: {ttl: 99999999d23h}"), `p:7:19: ttl is not between 1s and 365d`},
	{"ttl wrong order", ruleWith("limits: {ttl: 5m1h}"), `p:7:19: ttl is not a duration; write it like 90s, 15m, 1h30m or 2d`},
	{"uses zero", ruleWith("limits:", "  uses: 0"), `p:8:13: uses must be a whole number from 1 to 1000000`},
	{"uses negative", ruleWith("limits: {uses: -1}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"uses octal", ruleWith("limits: {uses: 010}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"uses hex", ruleWith("limits: {uses: 0x10}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"uses grouped", ruleWith("limits: {uses: 1_000}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"uses fraction", ruleWith("limits: {uses: 1.5}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"uses huge", ruleWith("limits: {uses: 99999999999999999999}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"uses text", ruleWith("limits: {uses: \"5\"}"), `p:7:20: uses must be a whole number from 1 to 1000000`},
	{"rate without unit", ruleWith("limits: {rate: 60}"), `p:7:20: rate needs a unit of time; write it like 10/s, 60/m, 500/h or 1000/d`},
	{"rate bad", ruleWith("limits: {rate: sixty/m}"), `p:7:20: rate is not a number per unit of time; write it like 10/s, 60/m, 500/h or 1000/d`},
	{"rate unit", ruleWith("limits: {rate: 60/w}"), `p:7:20: rate has an unknown unit; write it like 10/s, 60/m, 500/h or 1000/d`},
	{"rate zero", ruleWith("limits: {rate: 0/m}"), `p:7:20: rate must allow 1 to 1000000`},
	{"rate huge", ruleWith("limits: {rate: 1000001/m}"), `p:7:20: rate must allow 1 to 1000000`},
	{"rate long unit", ruleWith("limits: {rate: 60/min}"), `p:7:20: rate is not a number per unit of time; write it like 10/s, 60/m, 500/h or 1000/d`},
	// Permanent.
	{"permanent as text", ruleWith("permanent: \"true\""), `p:7:16: permanent must be true or false; write permanent: true, or remove it`},
	{"permanent as word", ruleWith("permanent: yes"), `p:7:16: permanent must be true or false; write permanent: true, or remove it`},
	{"permanent in capitals", ruleWith("permanent: TRUE"), `p:7:16: permanent must be true or false; write permanent: true, or remove it`},
	{"permanent as number", ruleWith("permanent: 1"), `p:7:16: permanent must be true or false; write permanent: true, or remove it`},
	{"permanent denied", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    deny: [delete]\n    permanent: true\n", `p:7:5: a deny rule has no permanent; remove it`},
	// To.
	{"to as text", ruleWith("to: api.openai.com"), `p:7:9: to must be a list, not text; write to: [{host: api.openai.com}]`},
	{"to empty", ruleWith("to: []"), `p:7:9: to is an empty list; write to: [{host: api.openai.com}]`},
	{"to entry as text", ruleWith("to: [api.openai.com]"), `p:7:10: an entry of to must have fields, not text; write name: value lines`},
	{"to without host", ruleWith("to:", "  - methods: [GET]"), `p:8:9: an entry of to names no host; add host: api.example.com`},
	{"to unknown field", ruleWith("to:", "  - {host: a.example, path: /v1}"), `p:8:27: unknown field "path" in an entry of to; did you mean paths?`},
	{"to host url", ruleWith("to:", "  - host: https://api.openai.com/v1"), `p:8:15: host is more than a host; write the host alone, without scheme, port and path`},
	{"to host port", ruleWith("to: [{host: \"a.example:443\"}]"), `p:7:17: host is more than a host; write the host alone, without scheme, port and path`},
	{"to host star", ruleWith("to: [{host: \"*\"}]"), `p:7:17: host is not a name; leave out to: for every destination of the secret`},
	{"to public suffix", ruleWith("to: [{host: \"*.com\"}]"), `p:7:17: host has a star in front of a public suffix; write a name, an address or *.example.com`},
	{"to public suffix of two labels", ruleWith("to: [{host: \"*.co.uk\"}]"), `p:7:17: host has a star in front of a public suffix; write a name, an address or *.example.com`},
	{"to public suffix, allowed before denied", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    to: [{host: \"*.com\"}]\n    allow: [use]\n", `p:6:17: host has a star in front of a public suffix; write a name, an address or *.example.com`},
	{"to inner star", ruleWith("to: [{host: \"api.*.com\"}]"), `p:7:17: host has a star inside; one may only stand for whole labels in front; write a name, an address or *.example.com`},
	{"to odd address", ruleWith("to: [{host: 0x7f.1}]"), `p:7:17: host looks like an address in an unusual spelling; write a name, an address or *.example.com`},
	{"to number host", ruleWith("to: [{host: 2130706433}]"), `p:7:17: host must be text, not a number; put it in double quotes`},
	{"to lower method", ruleWith("to: [{host: a.example, methods: [post]}]"), `p:7:38: a method must be an upper-case word such as POST; write "POST"`},
	{"to connect", ruleWith("to: [{host: a.example, methods: [CONNECT]}]"), `p:7:38: a method must be an upper-case word such as POST; CONNECT and TRACE are never allowed`},
	{"to methods empty", ruleWith("to: [{host: a.example, methods: []}]"), `p:7:37: methods is an empty list; write methods: [POST]`},
	{"to path star", ruleWith("to: [{host: a.example, paths: [\"*\"]}]"), `p:7:36: a path of to starts with "/" and has no "%", "?", "#", "\", "//", space or dot segment; write it like /v1/*`},
	{"to path dots", ruleWith("to: [{host: a.example, paths: [/a/../b]}]"), `p:7:36: a path of to starts with "/" and has no "%", "?", "#", "\", "//", space or dot segment; write it like /v1/*`},
	{"to answer as list", ruleWith("to: [{host: a.example, answer: [status]}]"), `p:7:36: answer must be text, not a list; put it in double quotes`},
	{"to answer unknown", ruleWith("to: [{host: a.example, answer: none}]"), `p:7:36: answer is none of the ways to show one; write full, status, or fields: and JSON pointers such as fields:/id,/items/*/name`},
	{"to answer without fields", ruleWith("to: [{host: a.example, answer: \"fields:\"}]"), `p:7:36: answer is none of the ways to show one; write full, status, or fields: and JSON pointers such as fields:/id,/items/*/name`},
	{"to answer of no pointer", ruleWith("to: [{host: a.example, answer: \"fields:/a,b\"}]"), `p:7:36: answer is none of the ways to show one; write full, status, or fields: and JSON pointers such as fields:/id,/items/*/name`},
	{"to answer denied", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    deny: [use]\n    to: [{host: a.example, answer: status}]\n", `p:7:28: a deny rule has no answer; remove it`},
	{"to without use", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    allow: [list]\n    to: [{host: a.example}]\n", `p:7:5: to needs the right use in rule "a"; it says where a value may go when it is used`},
	{"to with reveal", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    allow: [use, reveal]\n    to: [{host: a.example}]\n", `p:7:5: plaintext has no destination: to and reveal exclude each other; put reveal in a rule without to`},
	{"to with other denials", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    deny: [use, set]\n    to: [{host: a.example}]\n", `p:7:5: only use can be denied to a destination; put the other rights in a rule without to`},
	// Shape and reason.
	{"shape unquoted", ruleWith("shape: {handle}"), `p:7:12: shape must be text, not fields; put it in double quotes`},
	{"shape without handle", ruleWith("shape: sk-proj-"), `p:7:12: shape must have {handle} exactly once; write it like "sk-proj-{handle}"`},
	{"shape twice", ruleWith("shape: \"{handle}-{handle}\""), `p:7:12: shape must have {handle} exactly once; write it like "sk-proj-{handle}"`},
	{"shape other mark", ruleWith("shape: \"{handle}{x}\""), `p:7:12: shape has a character that does not fit everywhere; use letters, digits and - _ . ~ : / @ + =`},
	{"shape with space", ruleWith("shape: \"Bearer {handle}\""), `p:7:12: shape has a character that does not fit everywhere; use letters, digits and - _ . ~ : / @ + =`},
	{"shape with control", ruleWith("shape: \"\\x01{handle}\""), `p:7:12: shape has a character that does not fit everywhere; use letters, digits and - _ . ~ : / @ + =`},
	{"shape with letter after", ruleWith("shape: \"{handle}x\""), `p:7:12: shape has a letter or digit right after {handle}; put a - or _ between them`},
	{"shape long", ruleWith("shape: \"" + strings.Repeat("s", 121) + "{handle}\""), `p:7:12: shape is longer than 128 bytes`},
	{"reason empty", ruleWith("reason: \"\""), `p:7:13: reason is empty`},
	{"reason with control", ruleWith("reason: \"a\\u001b[2J\""), `p:7:13: reason has a character that does not print`},
	{"reason of two lines", ruleWith("reason: |", "  one", "  two"), `p:7:13: reason has a character that does not print`},
	{"reason long", ruleWith("reason: " + strings.Repeat("r", 513)), `p:7:13: reason is longer than 512 bytes`},
	{"limits on deny", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    deny: [use]\n    limits: {uses: 1}\n", `p:7:5: a deny rule has no limits; remove it`},
	{"shape on deny", head + "  - name: a\n    agents: [x]\n    paths: [x]\n    deny: [use]\n    shape: \"{handle}\"\n", `p:7:5: a deny rule has no shape; remove it`},
	// Approvals.
	{"approvals as list", head[:11] + "rules: []\napprovals: []\n", `p:3:12: approvals must have fields, not a list; write name: value lines`},
	{"approvals of standard", head[:11] + "rules: []\napprovals:\n  standard: {quorum: 1, expires: 15m}\n", `p:4:3: unknown field "standard" in approvals; known are sensitive, critical`},
	{"approvals unknown field", head[:11] + "rules: []\napprovals:\n  critical: {qorum: 1, expires: 15m}\n", `p:4:14: unknown field "qorum" in critical; did you mean quorum?`},
	{"approvals without quorum", head[:11] + "rules: []\napprovals:\n  critical: {expires: 15m}\n", `p:4:3: critical has no quorum; add quorum: 1`},
	{"approvals without expiry", head[:11] + "rules: []\napprovals:\n  critical: {quorum: 2}\n", `p:4:3: critical has no expires; add expires: 15m`},
	{"approvals quorum", head[:11] + "rules: []\napprovals:\n  critical: {quorum: 0, expires: 15m}\n", `p:4:22: quorum must be a whole number from 1 to 10`},
	{"approvals order", head[:11] + "rules: []\napprovals:\n  critical: {quorum: 1, delay: 15m, expires: 15m}\n", `p:4:3: critical expires before its delay is over`},
}

func TestSyntaxErrors(t *testing.T) {
	names := map[string]bool{}
	for _, c := range broken {
		if names[c.name] {
			t.Errorf("two cases are called %s", c.name)
		}
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			p, err := policy.Parse("p", []byte(c.src))
			if err == nil || err.Error() != c.want {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if p != nil {
				t.Error("a broken policy was returned")
			}
			var syntax *policy.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error is a %T", err)
			}
			place := syntax.File + ":" + strconv.Itoa(syntax.Line) + ":" + strconv.Itoa(syntax.Column) + ": "
			if !strings.HasPrefix(c.want, place+syntax.Msg) || !strings.HasSuffix(c.want, syntax.Hint) {
				t.Errorf("parts of the error differ from its text: %+v", syntax)
			}
		})
	}
}

// A file saved on Windows has the same positions.
func TestSyntaxErrorsWithCarriageReturns(t *testing.T) {
	for _, c := range broken {
		if strings.ContainsAny(c.src, "\r") || len(c.src) > 10_000 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			_, err := policy.Parse("p", []byte(strings.ReplaceAll(c.src, "\n", "\r\n")))
			if err == nil || err.Error() != c.want {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestCarriageReturnsMeanNothing(t *testing.T) {
	src := ruleWith("reason: |", "  one", "doors:", "  - mcp", "shape: >-", "  x-{handle}", "")
	unix, windows := mustParse(t, src), mustParse(t, strings.ReplaceAll(src, "\n", "\r\n"))
	if unix.Hash() != windows.Hash() {
		t.Errorf("%s\n%s", unix.Format(), windows.Format())
	}
}

// A key pasted into the wrong line must not come back in the message.
func TestSyntaxErrorsQuoteNoContent(t *testing.T) {
	const key = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"
	for _, line := range []string{
		"shape: " + key, "shape: \"" + key + " {handle}\"", "limits: {ttl: " + key + "}", "limits: {rate: " + key + "}",
		"limits: {uses: " + key + "}", "to: [{host: \"" + key + "!\"}]", "to: [{host: a.example, paths: [" + key + "]}]",
		"to: [{host: a.example, methods: [" + key + "]}]", "reason: [" + key + "]", key + ": a",
		"doors: [" + key + "]", "to: [{" + key + ": a}]", "reason: \"" + key + "\\n\"", "doors: " + key, "&" + key, "!" + key + " a",
	} {
		_, err := policy.Parse("p", []byte(ruleWith(line)))
		if err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// good are policies that the parser takes.
var good = []struct{ name, src string }{
	{"nothing allowed", "version: 1\nrules: []\n"},
	{"header", "# c\n---\n# d\nversion: 1\nrules: []"},
	{"carriage returns", "version: 1\r\nrules: []\r\n"},
	{"quoted keys", `{"version": 1, "rules": [{"name": "é ✓", "agents": ["@stdio"], "paths": ["*"], "allow": ["use"]}]}`},
	{"comment after value", ruleWith("shape: \"x-{handle}\" # why")},
	{"folded reason", ruleWith("reason: >", "  one", "  two")},
	{"plain reason on two lines", ruleWith("reason: one", "  two")},
	{"durations", ruleWith("limits: {ttl: 1d2h3m4s, uses: 1000000, rate: 1000000/d}")},
	{"addresses", ruleWith("to: [{host: 10.0.0.1}, {host: \"::1\"}, {host: localhost}, {host: \"*.corp.internal\"}]")},
	{"every right", head + "  - {name: a, agents: [a], paths: [a], allow: [list, use, reveal, set, rotate, delete, token], doors: [mcp, rest, egress]}"},
	{"16 segments", head + "  - {name: a, agents: [a], paths: [\"" + strings.Repeat("p/", 15) + "*\"], deny: [use]}"},
	{"path of 512 bytes", head + "  - {name: a, agents: [a], paths: [" + strings.Repeat("p", 512) + "], deny: [use]}"},
	{"approvals", "version: 1\nrules: []\napprovals:\n  sensitive: {quorum: 1, expires: 15m}\n  critical: {quorum: 2, delay: 5m, expires: 30m}\n"},
	{"conditions", ruleWith("when: >-", "  agent == 'x'")},
	{"permanent", ruleWith("permanent: false")},
	{"test address with zone", testWith(`ip: "fe80::1%eth0"`)},
	{"test address of IPv4 in IPv6", testWith(`ip: "::ffff:10.1.2.3"`)},
	{"test now", testWith("now: 2026-01-05T08:00:00.123456789Z")},
}

func TestGoodPolicies(t *testing.T) {
	for _, c := range good {
		t.Run(c.name, func(t *testing.T) {
			if _, err := policy.Parse("p", []byte(c.src)); err != nil {
				t.Error(err)
			}
		})
	}
}
