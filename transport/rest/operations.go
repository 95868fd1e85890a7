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
			with(http.StatusOK, secretValue{}).with(http.StatusOK, secretPage{}),
		op(put, "/secrets/{path}", "putSecret", "Store a secret, or its next version.", (*Handler).putSecret).with(http.StatusCreated, secretMetadata{}),
		op(patch, "/secrets/{path}", "patchSecret", "Rotate a secret, or change its metadata.", (*Handler).patchSecret).
			with(http.StatusOK, rotation{}).with(http.StatusOK, secretMetadata{}),
		op(del, "/secrets/{path}", "deleteSecret", "Move a secret to the trash, or destroy it.", (*Handler).deleteSecret),

		op(get, "/agents", "listAgents", "List the agents.", (*Handler).listAgents),
		op(post, "/agents", "createAgent", "Register an agent and get its key, once.", (*Handler).createAgent).answers(http.StatusCreated),
		op(del, "/agents/{id}", "revokeAgent", "Revoke an agent, with its tokens and handles.", (*Handler).revokeAgent),
	}
}
