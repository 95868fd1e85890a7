package rest

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// defaultEvents is how many events a page has when nobody says (CONTRACT §6).
const defaultEvents = 25

// auditQuery selects a page.
type auditQuery struct {
	Page  int `json:"page,omitzero" jsonschema:"minimum=1,default=1"`
	Limit int `json:"limit,omitzero" jsonschema:"minimum=1,default=25" jsonschema_description:"More than 100 means 100."`
}

func (a *auditQuery) read(q *query) {
	a.Page = max(q.number("page", 1), 1)
	if a.Limit = q.number("limit", 1); a.Limit == 0 {
		a.Limit = defaultEvents
	}
	a.Limit = min(a.Limit, broker.MaxEventsPage)
}

// eventPage is a page of the record, newest first (CONTRACT §10).
type eventPage struct {
	Events []event `json:"events"`
	Total  int64   `json:"total"`
	Page   int     `json:"page"`
	Limit  int     `json:"limit" jsonschema_description:"As it was applied."`
}

type event struct {
	ID           string        `json:"id" jsonschema_description:"The number of the event in the log."`
	Event        string        `json:"event" jsonschema_description:"resource.action"`
	EventType    string        `json:"event_type" jsonschema_description:"The same as event."`
	ActorID      string        `json:"actor_id"`
	ActorType    string        `json:"actor_type" jsonschema:"enum=human,enum=agent,enum=token,enum=system"`
	ResourceType string        `json:"resource_type"`
	ResourceID   *string       `json:"resource_id" jsonschema:"nullable"`
	Metadata     eventMetadata `json:"metadata"`
	IPAddress    *string       `json:"ip_address" jsonschema:"nullable"`
	CreatedAt    stamp         `json:"created_at"`
}

// eventMetadata is what else is on record. There is no place for a value.
type eventMetadata struct {
	Outcome   string `json:"outcome" jsonschema:"enum=allowed,enum=denied,enum=ok,enum=failed,enum=intent"`
	Code      string `json:"code,omitempty" jsonschema_description:"Of a refusal or a failure."`
	Rule      string `json:"rule,omitempty" jsonschema_description:"The rule of the policy that decided."`
	Door      string `json:"door,omitempty"`
	Client    string `json:"client,omitempty" jsonschema_description:"What the client calls itself."`
	Path      string `json:"path,omitempty"`
	Version   int    `json:"version,omitzero"`
	Handle    string `json:"handle,omitempty"`
	Target    string `json:"target,omitempty"`
	Ref       string `json:"ref,omitempty" jsonschema_description:"The event that this one ends."`
	Permanent bool   `json:"permanent,omitzero"`
}

func (h *Handler) listEvents(c *call, in *auditQuery) (eventPage, error) {
	records, total, err := h.desk.Events(c.ctx, c.who, in.Page, in.Limit)
	if err != nil {
		return eventPage{}, err
	}
	out := eventPage{Events: make([]event, len(records)), Total: total, Page: in.Page, Limit: in.Limit}
	for i, r := range records {
		out.Events[i] = shownEvent(r)
	}
	return out, nil
}

func shownEvent(r audit.Record) event {
	resource, _, _ := strings.Cut(r.Event, ".")
	e := event{
		ID: strconv.FormatInt(r.Seq, 10), Event: r.Event, EventType: r.Event, ActorID: r.Actor, ActorType: actorType(r.Actor),
		ResourceType: resource, CreatedAt: stamp{r.Time},
		Metadata: eventMetadata{
			Outcome: r.Outcome, Code: r.Code, Rule: r.Rule, Door: r.Door, Client: r.Client, Path: string(r.Path), Version: r.Version,
			Handle: r.Handle, Target: r.Target, Permanent: r.Event == "secret.purged",
		},
	}
	if r.Ref != 0 {
		e.Metadata.Ref = strconv.FormatInt(r.Ref, 10)
	}
	e.ResourceID = orNull(resourceID(resource, r))
	if r.Addr != "" {
		e.IPAddress = &r.Addr
	}
	return e
}

// resourceID is the resource's own id, "" for none. The target of an event about
// a request or a token begins with its id; the path is what it was about.
func resourceID(resource string, r audit.Record) string {
	if resource == "approval" || resource == "token" {
		id, _, _ := strings.Cut(r.Target, " ")
		return id
	}
	return cmp.Or(string(r.Path), r.Handle, r.Target)
}

// actorType is the sort of principal that an id names.
func actorType(id string) string {
	kind, _, _ := strings.Cut(id, ":")
	switch identity.Kind(kind) {
	case identity.Owner, identity.Admin:
		return "human"
	case identity.Agent, identity.ScopedToken:
		return kind
	}
	return "system"
}
