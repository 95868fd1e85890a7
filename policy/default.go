package policy

// Default is the policy that init writes: agents on this machine may list and
// use every secret, which without a destination on the secret reaches nothing.
const Default = "# yaml-language-server: $schema=" + SchemaURL + `
# coatcheck policy: which agent may do what with which secret.
#
# Something is permitted when one allow rule holds entirely and no deny rule
# matches. Without a rule there is no access. The order of rules is of no matter.
# "coatcheck policy check" reads this file as the program does, and
# "coatcheck policy explain" says why something is allowed or not.
version: 1

rules:
  # Agents that an MCP client starts on this machine may see the names of all
  # secrets and use them through handles. They never see a value, and a value
  # goes only where the secret's own destinations (--to) let it.
  - name: local agents
    agents: ["@stdio"]          # everybody over stdio; others by name: ["claude-*"]
    paths: ["*"]                # * is any run of characters: "production/openai/*"
    allow: [list, use]          # also: reveal set rotate delete token

  # More that a rule can say:
  #
  # - name: inference
  #   agents: ["claude-*"]
  #   doors: [mcp, egress]                  # mcp rest egress; this is the default
  #   paths: ["production/openai/*"]
  #   allow: [list, use]
  #   when: now.getHours("Europe/Berlin") >= 8  # a condition in CEL: now agent door path tier tags client ip
  #   limits: {ttl: 15m, uses: 100, rate: 60/m}
  #   to:                                   # narrows the secret's own destinations
  #     - {host: api.openai.com, methods: [POST], paths: ["/v1/*"]}
  #   shape: "sk-proj-{handle}"             # how the handle looks
  #
  # - name: no payments
  #   agents: ["*"]
  #   paths: ["production/stripe/*"]
  #   deny: [use, reveal, rotate, delete]
  #   reason: Ask in the payments channel.  # shown to the model
`

// RuleFor returns a rule to paste under "rules:" that lets one agent list and
// use every secret. The agent's name must be one that an agent can have.
func RuleFor(agent string) string {
	return `  - name: agent ` + agent + `
    agents: ["` + agent + `"]
    paths: ["*"]                # narrow this, for example "production/openai/*"
    allow: [list, use]
`
}
