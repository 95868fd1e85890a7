package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// forward gives the request to mcp-go and makes its errors fit to send.
func (e *endpoint) forward(w http.ResponseWriter, r *http.Request, ctx context.Context, m envelope.Message, text []byte) { //nolint:revive // r is older than ctx
	inner := r.WithContext(ctx)
	inner.Body = io.NopCloser(bytes.NewReader(text))
	held := &answerWriter{ResponseWriter: w}
	e.protocol.ServeHTTP(held, inner)
	if held.status == 0 { // mcp-go says nothing once ctx has ended
		reply(w, http.StatusOK, rpcError(m.ID, mcp.REQUEST_INTERRUPTED, "the request was cancelled"))
		return
	}
	if held.body == nil {
		return
	}
	body := held.body.Bytes()
	if bytes.Contains(body[:min(len(body), 8*envelope.MaxIDBytes)], []byte(`"error":`)) {
		body = e.plainBody(ctx, m, body)
	}
	w.WriteHeader(held.status)
	if _, err := w.Write(body); err != nil {
		e.Log.DebugContext(ctx, "answer not sent", slog.String("cause", kinds(err)))
	}
}

// plainBody is [Server.plain] for an encoded answer.
func (e *endpoint) plainBody(ctx context.Context, m envelope.Message, body []byte) []byte {
	var said struct {
		Error *struct {
			Code    int             `json:"code"`
			Message string          `json:"message"`
			Data    json.RawMessage `json:"data"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error == nil {
		return body
	}
	failed := rpcError(nil, said.Error.Code, said.Error.Message)
	var versions mcp.UnsupportedProtocolVersionData
	if json.Unmarshal(said.Error.Data, &versions) == nil {
		failed.Error.Data = versions
	}
	out, err := json.Marshal(e.plain(ctx, m, failed))
	if err != nil {
		return nil
	}
	return append(out, '\n')
}

// reply sends v as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client is gone if this fails
}

// answerWriter holds back a JSON answer and lets all else through, event streams
// above all.
type answerWriter struct {
	http.ResponseWriter
	status int
	body   *bytes.Buffer
}

// WriteHeader decides which it is.
func (a *answerWriter) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if kind, _, err := mime.ParseMediaType(a.Header().Get("Content-Type")); err == nil && kind == "application/json" {
		a.body = &bytes.Buffer{}
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes to where WriteHeader decided.
func (a *answerWriter) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.body != nil {
		return a.body.Write(p)
	}
	return a.ResponseWriter.Write(p)
}

// Flush sends what was written of an event stream.
func (a *answerWriter) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok && a.body == nil {
		f.Flush()
	}
}
