package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
)

// maxAsked bounds the requests of the server that one session has not answered.
const maxAsked = 64

// asks are the requests of the server to one client that have no answer yet.
// Their ids are whole numbers, each used once, and mean nothing elsewhere.
type asks struct {
	mu     sync.Mutex
	last   int
	byID   map[string]chan asked
	closed bool
}

// asked is what a client answered.
type asked struct {
	Result json.RawMessage
	Error  *struct {
		Code int
	}
}

// askError is a client's refusal. What it says about it is not kept.
type askError struct {
	Code int // of JSON-RPC
}

// Error names the code.
func (e *askError) Error() string { return fmt.Sprintf("the client answered with error %d", e.Code) }

// ask has send send a request under a new id and waits for its answer. Whoever
// gives up waiting tells the client so by abandon.
func (a *asks) ask(ctx context.Context, send func(id json.RawMessage) error, abandon func(id json.RawMessage)) (json.RawMessage, error) {
	id, answer, err := a.open()
	if err != nil {
		return nil, err
	}
	defer a.forget(id)
	if err := send(json.RawMessage(id)); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		abandon(json.RawMessage(id))
		return nil, ctx.Err()
	case got, ok := <-answer:
		switch {
		case !ok:
			return nil, errEnded
		case got.Error != nil:
			return nil, &askError{got.Error.Code}
		default:
			return got.Result, nil
		}
	}
}

func (a *asks) open() (id string, answer <-chan asked, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return "", nil, errEnded
	case len(a.byID) >= maxAsked:
		return "", nil, errTooManyAsked
	case a.byID == nil:
		a.byID = map[string]chan asked{}
	}
	a.last++
	id = strconv.Itoa(a.last)
	one := make(chan asked, 1)
	a.byID[id] = one
	return id, one, nil
}

func (a *asks) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, id)
}

// answer takes a response of the client. One that nobody waits for, or not any
// more, is let go: it may have crossed with the end of the call.
func (a *asks) answer(id, response []byte) {
	var got asked
	if json.Unmarshal(response, &got) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if one, waits := a.byID[string(id)]; waits {
		delete(a.byID, string(id))
		one <- got
	}
}

// close ends the waiting for answers.
func (a *asks) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for id, one := range a.byID {
		delete(a.byID, id)
		close(one)
	}
}
