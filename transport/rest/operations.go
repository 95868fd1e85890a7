package rest

import "net/http"

// operations is the table of routes. Where several fit, the first counts.
func operations() []*route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	return []*route{
		op(get, "/health", "getHealth", "Tell whether the desk answers.", (*Handler).health).withoutKey(),
		op(get, "/openapi.json", "getOpenAPI", "Get this document.", (*Handler).openAPI).withoutKey(),

		op(get, "/secrets", "listSecrets", "List secrets without their values, page by page.", (*Handler).listSecrets),
		op(post, "/secrets", "createSecret", "Store a secret where there is none.", (*Handler).createSecret).answers(http.StatusCreated),
		op(post, "/secrets/import", "importSecrets", "Store what stands in .env text, all of it or nothing.", (*Handler).importSecrets),
		op(get, "/secrets/{path}/versions", "listVersions", "List the versions of a secret.", (*Handler).listVersions).with(http.StatusOK, versionList{}),
		op(post, "/secrets/{path}/rotate", "rotateSecret", "Make the next version, and retire the old ones.", (*Handler).rotateSecret),
		op(post, "/secrets/{path}/restore", "restoreSecret", "Bring a secret back from the trash.", (*Handler).restoreSecret),
		op(get, "/secrets/{path}", "getSecret", "Get a secret with its value, or list a namespace.", (*Handler).getSecret).
			with(http.StatusOK, secretValue{}).with(http.StatusOK, secretPage{}).with(http.StatusAccepted, pendingRead{}),
		op(put, "/secrets/{path}", "putSecret", "Store a secret, or its next version.", (*Handler).putSecret).with(http.StatusCreated, secretMetadata{}),
		op(patch, "/secrets/{path}", "patchSecret", "Rotate a secret, or change its metadata.", (*Handler).patchSecret).
			with(http.StatusOK, rotation{}).with(http.StatusOK, secretMetadata{}),
		op(del, "/secrets/{path}", "deleteSecret", "Move a secret to the trash, or destroy it.", (*Handler).deleteSecret),

		op(get, "/namespaces", "listNamespaces", "List the namespaces that hold secrets.", (*Handler).listNamespaces),

		op(post, "/tokens", "createToken", "Issue a scoped token, or ask people for one.", (*Handler).createToken).
			answers(http.StatusCreated).with(http.StatusAccepted, token{}),
		op(get, "/tokens", "listTokens", "List the tokens that can be used, without their texts.", (*Handler).listTokens),
		op(get, "/tokens/{id}", "getToken", "Look at a token, without its text.", (*Handler).getToken),
		op(del, "/tokens/{id}", "revokeToken", "End a token.", (*Handler).revokeToken),

		op(get, "/approvals", "listApprovals", "List the requests that people decide.", (*Handler).listApprovals),
		op(get, "/approvals/{id}", "getApproval", "Look at a request, and take the token it was for, once.", (*Handler).getApproval),
		op(get, "/approvals/agent/{id}", "watchApproval", "Look at a request and change nothing.", (*Handler).watchApproval),
		op(post, "/approvals/{id}/approve", "approve", "Agree, as an admin who did not ask, nor register the agent or issue the token that asks.", (*Handler).approve),
		op(post, "/approvals/{id}/deny", "deny", "Refuse, as an admin who did not ask.", (*Handler).deny),
		op(post, "/approvals/{id}/cancel", "cancelApproval", "Take back a request of one's own.", (*Handler).cancelApproval),

		op(get, "/agents", "listAgents", "List the agents.", (*Handler).listAgents),
		op(post, "/agents", "createAgent", "Register an agent and get its key, once.", (*Handler).createAgent).answers(http.StatusCreated),
		op(del, "/agents/{id}", "revokeAgent", "Revoke an agent, with its tokens and handles.", (*Handler).revokeAgent),

		op(get, "/audit", "listEvents", "List what is on record, newest first.", (*Handler).listEvents),

		op(get, "/me", "getMe", "Tell who the caller is.", (*Handler).me),
		op(get, "/me/status", "getSubscription", "Tell of a subscription, which nobody needs here.", (*Handler).subscription),
	}
}
