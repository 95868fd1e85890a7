package rest

import (
	_ "embed"
	"net/http"
)

// openapi is the document of this door. The tests generate it from [operations]
// and the types that stand there (-update), and fail when it differs.
//
//go:embed openapi.json
var openapi []byte

// document is the OpenAPI document as an answer.
type document struct{}

func (h *Handler) openAPI(*call, *none) (document, error) { return document{}, nil }

// send implements [sender].
func (document) send(_ *Handler, w http.ResponseWriter, _ *call) error {
	sendJSON(w, http.StatusOK, openapi)
	return nil
}
