package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// webhookReceiver takes webhooks beside the script.
type webhookReceiver struct{ got chan webhookMessage }

type webhookMessage struct {
	header http.Header
	body   []byte
}

// scriptReceivers is where a script keeps them, by name.
type scriptReceivers struct{}

// receiving NAME starts a receiver of webhooks, whose URL is then in the variable
// NAME.
func scriptReceive(ts *testscript.TestScript, args []string) {
	v := &webhookReceiver{got: make(chan webhookMessage, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			v.got <- webhookMessage{r.Header, body}
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
	ts.Value(scriptReceivers{}).(map[string]*webhookReceiver)[args[0]] = v
}

// told NAME KEY TYPE waits for the next message, which is of that type and signed
// with that key; its text is then in the file told.
func scriptTold(ts *testscript.TestScript, args []string) {
	w, err := standardwebhooks.NewWebhook(args[1])
	ts.Check(err)
	select {
	case m := <-ts.Value(scriptReceivers{}).(map[string]*webhookReceiver)[args[0]].got:
		ts.Check(w.Verify(m.body, m.header))
		var text struct{ Type string }
		ts.Check(json.Unmarshal(m.body, &text))
		if text.Type != args[2] {
			ts.Fatalf("told %s", m.body)
		}
		ts.Check(os.WriteFile(ts.MkAbs("told"), m.body, 0o600))
	case <-time.After(scriptPatience):
		ts.Fatalf("nothing was sent")
	}
}
