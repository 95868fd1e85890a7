package rest

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
)

// appendJSON appends v, with the members of maps in order.
func appendJSON(dst []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v, json.Deterministic(true))
	return append(slices.Grow(dst, len(text)), text...), err
}

// Answers may know more about how they are sent.
type (
	// statusKnower is an answer that may have another status than its route; 0: not.
	statusKnower interface{ httpStatus() int }
	// jsonAppender is an answer that writes itself.
	jsonAppender interface {
		appendJSON(dst []byte) ([]byte, error)
	}
	// sender is an answer that is sent in pieces, header included.
	sender interface {
		send(h *Handler, w http.ResponseWriter, c *call) error
	}
)

// send writes what a route has answered.
func (h *Handler) send(w http.ResponseWriter, c *call, out any) {
	if out, ok := out.(sender); ok {
		if err := out.send(h, w, c); err != nil {
			h.fail(w, c, err)
		}
		return
	}
	if _, nothing := out.(none); nothing {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status := c.route.status
	if out, ok := out.(statusKnower); ok && out.httpStatus() != 0 {
		status = out.httpStatus()
	}
	var body []byte
	var err error
	if self, ok := out.(jsonAppender); ok {
		body, err = self.appendJSON(make([]byte, 0, 1024))
	} else {
		body, err = appendJSON(nil, out)
	}
	if err != nil {
		h.fail(w, c, err)
		return
	}
	sendJSON(w, status, body)
	clear(body)
}

func sendJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone is no news
}
