// Command transit serves the transit engine of HashiCorp Vault, with its storage
// in memory, on a free loopback port, until its standard input ends. It prints
// its address. Engine and answers are the real ones; the few lines of HTTP around
// them, and the check of one token, are ours.
//
// It is built for tests only ('make sources') and is part of nothing else: that
// engine is under the Business Source License, which allows this use.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/logical"
)

func main() {
	config := logical.TestBackendConfig()
	config.StorageView = &logical.InmemStorage{}
	engine, err := transit.Factory(context.Background(), config)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := strings.CutPrefix(r.URL.Path, "/v1/transit/")
		switch {
		case r.Header.Get("X-Vault-Token") != "root":
			answer(w, http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
			return
		case !ok:
			answer(w, http.StatusNotFound, map[string]any{"errors": []string{"no handler for route"}})
			return
		}
		request := &logical.Request{Operation: logical.UpdateOperation, Path: path, Storage: config.StorageView, ClientToken: "root"}
		if r.Method == http.MethodDelete {
			request.Operation = logical.DeleteOperation
		} else if err := json.NewDecoder(r.Body).Decode(&request.Data); err != nil && err != io.EOF {
			answer(w, http.StatusBadRequest, map[string]any{"errors": []string{err.Error()}})
			return
		}
		response, err := engine.HandleRequest(r.Context(), request)
		if status, failure := logical.RespondErrorCommon(request, response, err); status != 0 {
			answer(w, status, map[string]any{"errors": []string{failure.Error()}})
			return
		}
		if response == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": response.Data})
	})))
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
