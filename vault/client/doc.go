// Package client is the Go SDK of an Agent Secret Store: coatcheck, or a hosted
// service that speaks the same protocol.
//
// The one rule: a credential and a value go to the base URL over TLS or
// loopback, in the one header or body they belong in, and nowhere else: not to
// where a redirect points, not into an error, a log or anything printed
// ([secret.Value]).
//
//	vault, err := client.New(nil) // the key from ASS_AGENT_KEY
//	s, err := vault.GetSecret(ctx, "production/openai/api-key", nil)
//	use(s.Value.Reveal())
//
//	var pending *client.ApprovalPendingError
//	switch {
//	case errors.As(err, &pending):
//		_, err = vault.WaitForApproval(ctx, pending.ApprovalRequestID, nil) // then read again
//	case errors.Is(err, client.ErrNotFound):
//	}
//
// # The seed's surface
//
// The names of the JavaScript SDK on the left, ours on the right; a test holds
// both sides to be complete.
//
//	new AgentVault(options)                New
//	AgentVaultOptions.agentKey             Options.AgentKey
//	AgentVaultOptions.baseUrl              Options.BaseURL
//	AgentVaultOptions.timeoutMs            Options.Timeout
//	AgentVaultOptions.retries              Options.Retries
//	AgentVaultOptions.retryDelay           Options.RetryDelay
//	getSecret                              Client.GetSecret
//	GetSecretOptions.version               GetOptions.Version
//	GetSecretOptions.token                 GetOptions.Token
//	Secret.path                            Metadata.Path
//	Secret.value                           Secret.Value
//	Secret.version                         Metadata.Version
//	Secret.tier                            Metadata.Tier
//	Secret.description                     Metadata.Description
//	Secret.tags                            Metadata.Tags
//	Secret.createdAt                       Metadata.CreatedAt
//	Secret.updatedAt                       Metadata.UpdatedAt
//	Secret.accessedAt                      Metadata.AccessedAt
//	Secret.expiresAt                       Metadata.ExpiresAt
//	setSecret                              Client.SetSecret
//	SetSecretOptions.tier                  SetOptions.Tier
//	SetSecretOptions.description           SetOptions.Description
//	SetSecretOptions.tags                  SetOptions.Tags
//	SetSecretOptions.expiresAt             SetOptions.ExpiresAt
//	listSecrets                            Client.ListSecrets
//	ListOptions.limit                      ListOptions.Limit
//	ListOptions.cursor                     ListOptions.Cursor
//	items                                  Page.Items
//	nextCursor                             Page.NextCursor
//	requestToken                           Client.RequestToken
//	TokenOptions.scope                     TokenOptions.Scope
//	TokenOptions.ttlSeconds                TokenOptions.TTL
//	TokenOptions.description               TokenOptions.Description
//	TokenOptions.allowedIps                TokenOptions.AllowedIPs
//	TokenOptions.maxUses                   TokenOptions.MaxUses
//	ScopedToken.value                      Token.Value
//	ScopedToken.scope                      Token.Scopes
//	ScopedToken.ttlSeconds                 Token.TTL
//	ScopedToken.expiresAt                  Token.ExpiresAt
//	ScopedToken.description                Token.Description
//	ScopedToken.allowedIps                 Token.AllowedIPs
//	ScopedToken.maxUses                    Token.MaxUses
//	ScopedToken.approvalStatus             Token.ApprovalStatus
//	ScopedToken.approvalRequestId          Token.ApprovalRequestID
//	waitForApproval                        Client.WaitForApproval
//	WaitOptions.timeoutMs                  WaitOptions.Timeout
//	rotateSecret                           Client.RotateSecret
//	RotateOptions.gracePeriodSeconds       RotateOptions.Grace
//	RotateResult.newVersion                RotateResult.NewVersion
//	RotateResult.oldVersion                RotateResult.OldVersion
//	RotateResult.expiresAt                 RotateResult.ExpiresAt
//	deleteSecret                           Client.DeleteSecret
//	DeleteOptions.permanent                DeleteOptions.Permanent
//	AgentVaultError                        Error
//	AgentVaultError.message                Error.Message
//	AgentVaultError.code                   Error.Code
//	AgentVaultError.statusCode             Error.StatusCode
//	AgentVaultAuthError                    AuthError
//	AgentVaultPermissionError              PermissionError
//	AgentVaultPermissionError.path         PermissionError.Path
//	AgentVaultPermissionError.requiredScope  PermissionError.RequiredScope
//	AgentVaultNotFoundError                NotFoundError
//	AgentVaultNotFoundError.path           NotFoundError.Path
//	AgentVaultRateLimitError               RateLimitError
//	AgentVaultRateLimitError.retryAfter    RateLimitError.RetryAfter
//	AgentVaultApprovalPendingError         ApprovalPendingError
//	AgentVaultApprovalPendingError.approvalRequestId  ApprovalPendingError.ApprovalRequestID
//	AgentVaultNetworkError                 NetworkError
//	AgentVaultNetworkError.cause           NetworkError.Cause
//
// Beyond it: Client.Secrets, Client.ImportEnv, Client.RestoreSecret,
// Client.ListVersions, Client.RevokeToken, Client.Vault, Client.BaseURL,
// Options.AllowInsecure, Options.HTTPClient, Options.Edition, SetOptions.Type, SetOptions.Extra,
// TokenOptions.Scopes, Token.ID, Metadata.Type, Metadata.Extra, Metadata.Binary,
// Metadata.DeletedAt.
//
// # Errors
//
// Every call may return an *[AuthError], *[PermissionError], *[RateLimitError],
// *[ApprovalPendingError] or *[NetworkError], each by errors.As or by its
// sentinel with errors.Is, or an *[Error], which all of them are too: an argument
// that cannot be (nothing was sent), a status that has no type, an answer that
// makes no sense.
//
// # Trying again
//
// A call waits and is made again after 429 in any case, since it was not carried
// out; after a broken connection, a timeout, 502, 503 and 504 only if doing it
// twice is doing it once: reading with the agent key, listing, setting,
// deleting. After any of the first attempt's bytes may have arrived these are
// never repeated: a reading with a token of the caller's, which may be for one
// use; a request for a token; a rotation, an import, a restore. The wait grows
// from [Options].RetryDelay and is no shorter than Retry-After; one that is asked
// to be longer than a minute, or than ctx lasts, ends the call.
//
// # As a vault
//
// [Client.Vault] is a [vault.Vault], so that this or another service may stand
// behind a desk; it passes the contract of package vaulttest over coatcheck. Its
// comment says what the wire has no words for.
//
// # Editions
//
// A service of edition B gives secrets to scoped tokens only. For each call the
// client fetches a token of an hour for the very scope, keeps it, uses it for
// whatever it covers until 5 seconds before its end, and fetches another one
// when it is refused with 401. What that edition does not have (older versions,
// grace, trash, descriptions, expiry, pages) is refused with
// errors.ErrUnsupported before anything is sent, not left out in silence. How the
// edition is found stands at [Detect].
//
// Choice: the edition is asked for, not guessed from a refusal. A 403 of
// coatcheck is an answer, and asking it for a token then would bother an approver;
// a path in edition A's form lists a namespace in edition B. A service
// that answers /health and speaks edition A all the same would show that it was
// wrong; [Options].Edition helps there.
//
// Not here: environment variables other than ASS_AGENT_KEY (ASS_API_URL belongs to
// the published command line), logs, metrics.
package client
