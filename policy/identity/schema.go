package identity

import "github.com/coatcheck-dev/coatcheck/vault/sqldb"

// Migrations creates the tables of agents, admins and tokens.
//
// key_hash is SHA-256 of the key, null for a stdio agent, and hash of a token's
// text, of which its id is made; since is when the agent that a token belongs to
// was registered. namespaces, scopes and addrs have one a line. registrar and
// issuer are ids of admins, ” of the owner's agents and of tokens that no admin
// issued. A mac authenticates the other columns of its row, in their order (package
// rowmac); of an agent description, namespaces and scopes only where one of them
// says something, and registrar and issuer only where they do.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{
		{Name: "identity/1", SQL: []string{
			`CREATE TABLE agents (
			name       TEXT   NOT NULL PRIMARY KEY,
			key_hash   {blob} UNIQUE,
			created_at BIGINT NOT NULL,
			revoked_at BIGINT NOT NULL
		)`,
		}},
		{Name: "identity/2", SQL: []string{`ALTER TABLE agents ADD COLUMN mac {blob} NOT NULL DEFAULT x''`}},
		{Name: "identity/3", SQL: []string{
			`ALTER TABLE agents ADD COLUMN description TEXT NOT NULL DEFAULT ''`,
			`ALTER TABLE agents ADD COLUMN namespaces TEXT NOT NULL DEFAULT ''`,
			`ALTER TABLE agents ADD COLUMN scopes TEXT NOT NULL DEFAULT ''`,
		}},
		{Name: "identity/4", SQL: []string{
			`CREATE TABLE admins (
			name       {text} NOT NULL PRIMARY KEY,
			key_hash   {blob} UNIQUE,
			created_at BIGINT NOT NULL,
			revoked_at BIGINT NOT NULL,
			mac        {blob} NOT NULL
		)`,
			`CREATE TABLE tokens (
			id          {text} NOT NULL PRIMARY KEY,
			hash        {blob} NOT NULL,
			agent       {text} NOT NULL,
			since       BIGINT NOT NULL,
			scopes      TEXT   NOT NULL,
			addrs       TEXT   NOT NULL,
			description TEXT   NOT NULL,
			tier        TEXT   NOT NULL,
			approval    TEXT   NOT NULL,
			created_at  BIGINT NOT NULL,
			expires_at  BIGINT NOT NULL,
			revoked_at  BIGINT NOT NULL,
			max_uses    BIGINT NOT NULL,
			used        BIGINT NOT NULL,
			mac         {blob} NOT NULL
		) {clustered}`,
			`CREATE INDEX tokens_by_agent ON tokens (agent, expires_at DESC, id)`,
		}},
		{Name: "identity/5", SQL: []string{
			`ALTER TABLE agents ADD COLUMN registrar {text} NOT NULL DEFAULT ''`,
			`ALTER TABLE tokens ADD COLUMN issuer {text} NOT NULL DEFAULT ''`,
		}},
	}
}
