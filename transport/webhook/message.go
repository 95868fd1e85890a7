package webhook

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// message is the payload in the form that Standard Webhooks recommends.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      data      `json:"data"`
}

// data is an event of the record. Text is escaped as it is there (audit.Quote):
// printable characters, whatever a client called itself.
type data struct {
	Seq      int64      `json:"seq"` // its number in the record
	Actor    string     `json:"actor,omitempty"`
	Door     string     `json:"door,omitempty"`
	Client   string     `json:"client,omitempty"`
	Addr     string     `json:"addr,omitempty"`
	Path     vault.Path `json:"path,omitempty"`
	Version  int        `json:"version,omitempty"`
	Handle   string     `json:"handle,omitempty"`
	Approval string     `json:"approval,omitempty"` // of approval.*: the request, as it stands first in target
	Target   string     `json:"target,omitempty"`
	Rule     string     `json:"rule,omitempty"`
	RuleHash string     `json:"rule_hash,omitempty"`
}

// encode returns the message about an event and its id, which are always the same
// for the same event. The number alone would come again in a vault that an older
// copy was put back for, and a receiver would drop it.
func encode(r *audit.Record) (id string, body []byte, err error) {
	d := data{
		Seq: r.Seq, Actor: r.Actor, Door: r.Door, Client: r.Client, Addr: r.Addr, Path: r.Path, Version: r.Version,
		Handle: r.Handle, Target: r.Target, Rule: r.Rule, RuleHash: r.RuleHash,
	}
	if first, _, _ := strings.Cut(r.Target, " "); strings.HasPrefix(r.Event, "approval.") && approval.IsID(first) {
		d.Approval = first
	}
	if body, err = json.Marshal(message{r.Event, r.Time, d}); err != nil {
		return "", nil, err
	}
	return mint.ID(fmt.Sprintf("evt_%d_", r.Seq), mint.Hash(string(body))), body, nil
}

// wants reports whether the webhook is told of an event: of what happened only,
// since a type such as approval.granted says that it did, and never of webhooks,
// which would go round in circles.
func (h *hook) wants(r *audit.Record) bool {
	return r.Outcome == audit.OK && !strings.HasPrefix(r.Event, "webhook.") &&
		slices.ContainsFunc(h.target.Events, func(g vault.Glob) bool { return g.Match(r.Event) })
}
