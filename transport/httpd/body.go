package httpd

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
)

// body checks what r says of its body and reads it whole. The read deadline was
// set when the request came in; it ends here, because a stream may last.
func (s *Server) body(w *writer, r *http.Request) ([]byte, *refusal) {
	has := r.Body != nil && r.Body != http.NoBody
	// Messages of MCP always have a body; REST has calls without (CONTRACT R13).
	if (has || r.Method == http.MethodPost && route(r) != restRoute) && !isJSON(r.Header) {
		return nil, &notJSON
	}
	if r.ContentLength > s.limits.Body {
		return nil, &tooLarge
	}
	if !has {
		return nil, nil
	}
	// MaxBytesReader gets net/http's own writer: it tells it to close.
	data, err := io.ReadAll(http.MaxBytesReader(w.ResponseWriter, r.Body, s.limits.Body))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &tooSlow
	case err != nil:
		return nil, &badBody
	}
	if err := w.rc.SetReadDeadline(time.Time{}); err != nil {
		return nil, &badBody
	}
	return data, nil
}

// isJSON holds for exactly one Content-Type of application/json, in UTF-8, and no
// content encoding. A page can send text/plain without asking; not this.
func isJSON(h http.Header) bool {
	sent := h["Content-Type"]
	if len(sent) != 1 || len(h["Content-Encoding"]) > 0 {
		return false
	}
	kind, params, err := mime.ParseMediaType(sent[0])
	if err != nil || kind != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// withBody gives r a body that lies in memory.
func withBody(r *http.Request, data []byte) {
	r.ContentLength, r.TransferEncoding = int64(len(data)), nil
	r.Body = http.NoBody
	if len(data) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
}
