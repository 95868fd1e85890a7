package embedded

import "github.com/coatcheck-dev/coatcheck/vault/sqldb"

// Migrations are the tables of the vault.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{{
		Name: "vault/1",
		SQL: []string{
			`CREATE TABLE vault_keyring (
				id         BIGINT PRIMARY KEY CHECK (id = 1),
				vault_id   TEXT   NOT NULL,
				sealed     {blob} NOT NULL,
				created_at BIGINT NOT NULL)`,
			// deleted_at is 0 while the secret lives.
			`CREATE TABLE vault_secrets (
				path       {text} NOT NULL,
				first      BIGINT NOT NULL,
				deleted_at BIGINT NOT NULL,
				record     {blob} NOT NULL,
				PRIMARY KEY (path, first))`,
			`CREATE UNIQUE INDEX vault_secrets_live  ON vault_secrets (path) WHERE deleted_at = 0`,
			`CREATE        INDEX vault_secrets_trash ON vault_secrets (path, first) WHERE deleted_at <> 0`,
			`CREATE        INDEX vault_secrets_purge ON vault_secrets (deleted_at) WHERE deleted_at <> 0`,
			`CREATE TABLE vault_versions (
				path    {text} NOT NULL,
				version BIGINT NOT NULL,
				head    {blob} NOT NULL,
				body    {blob} NOT NULL,
				PRIMARY KEY (path, version))`,
		},
	}, {
		// The rank of the tier, so that the guarded secrets under a pattern are
		// found without opening every record. It is an index: what it says is not
		// believed where a value is opened. Records from before have rank 0 until
		// they change.
		Name: "vault/2",
		SQL: []string{
			`ALTER TABLE vault_secrets ADD COLUMN tier BIGINT NOT NULL DEFAULT 0`,
			`CREATE INDEX vault_secrets_guarded ON vault_secrets (tier, path) WHERE tier <> 0 AND deleted_at = 0`,
		},
	}}
}
