package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Health is what a desk says of itself.
type Health struct {
	Version string
	Ready   bool     // it can work; true too when it does not say
	Private []string // what nobody but its user should be able to open; over a socket only
	Program string   // what nobody but its user should be able to change; over a socket only
}

// Health asks the desk how it is, without the key. Errors are those of [Bridge.Serve]
// with a sentence and a next step.
func (r *Remote) Health(ctx context.Context) (Health, error) {
	var said struct {
		Status  string
		Version string
		Private []string
		Program string
	}
	status, err := r.look(ctx, "/healthz", &said)
	if err != nil {
		return Health{}, err
	}
	if status != http.StatusOK || said.Status != "ok" {
		return Health{}, r.refused(status, "", false).asError()
	}
	h := Health{Version: said.Version, Private: said.Private, Program: said.Program}
	status, err = r.look(ctx, "/readyz", nil)
	h.Ready = status == http.StatusOK || status == http.StatusNotFound // older desks have no such page
	return h, err
}

// look gets a page that needs no key and reads its JSON into v.
func (r *Remote) look(ctx context.Context, path string, v any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	req, err := r.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0, r.unsent(err).asError()
	}
	r.reached.Store(true)
	defer res.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil {
		return 0, r.unsent(err).asError()
	}
	if v != nil && json.Unmarshal(text, v) != nil && res.StatusCode == http.StatusOK {
		return 0, r.refused(http.StatusNotFound, "NOT_FOUND", false).asError()
	}
	return res.StatusCode, nil
}

// CheckKey asks the desk whether it accepts the key, by a request that changes
// nothing. The error is [ErrKeyRefused], or why it could not be asked.
func (r *Remote) CheckKey(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	req, err := r.request(ctx, http.MethodPost, "/mcp", []byte(`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{`+
		`"io.modelcontextprotocol/protocolVersion":"`+modernSince+`","io.modelcontextprotocol/clientCapabilities":{},`+
		`"io.modelcontextprotocol/clientInfo":{"name":"coatcheck doctor","version":"1"}}}}`))
	if err != nil {
		return err
	}
	req.Header.Set(headerVersion, modernSince)
	req.Header.Set(headerMethod, "server/discover")
	res, err := r.do(req)
	if err != nil {
		return r.unsent(err).asError()
	}
	defer res.Body.Close() //nolint:errcheck // nothing of it is wanted
	if res.StatusCode != http.StatusOK {
		return r.refused(res.StatusCode, "", false).asError()
	}
	return nil
}

// asError is the fault for people.
func (f *fault) asError() error {
	text := fmt.Sprintf("%s %s", f.text, f.next)
	if f.cause == nil {
		return errors.New(text)
	}
	return faultError{text, f.cause}
}

// faultError is a fault whose cause has an exit code.
type faultError struct {
	text  string
	cause error
}

func (e faultError) Error() string { return e.text }

func (e faultError) Unwrap() error { return e.cause }
