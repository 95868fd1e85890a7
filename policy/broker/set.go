package broker

import (
	"context"
	"errors"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// SetRequest asks to store a value that a model holds.
type SetRequest struct {
	Path  vault.Path
	Value secret.Value // not given: nothing is stored, and the answer says how a human enters one
}

// Stored is the answer to a [SetRequest].
type Stored struct {
	Done bool // a value was stored
	// Shown: who may list the path, so that Metadata and Created say what is
	// there. Else they are zero but for the path.
	Shown    bool
	Created  bool
	Metadata vault.Metadata
	Next     string // what to do now, with the owner's exact command where it is their turn
}

// Set stores a value as [Broker.Put] does and says what is left to do. Without
// a value it stores and records nothing. Errors: those of [Broker.Put].
func (b *Broker) Set(ctx context.Context, who identity.Principal, r SetRequest) (Stored, error) {
	if !r.Value.Given() {
		return b.toEnter(ctx, who, r.Path)
	}
	meta, created, err := b.put(ctx, who, r.Path, vault.Change{Value: r.Value})
	if err != nil {
		return Stored{}, err
	}
	out := Stored{Done: true, Metadata: vault.Metadata{Path: r.Path}, Next: "Stored. Where it may go is for its owner to say."}
	if b.judge(who).asReader().showsThis(meta) {
		out.Shown, out.Created, out.Metadata = true, created, meta
		out.Next = b.afterSet(meta, r.Value)
	}
	return out, nil
}

// afterSet tells what a stored value still needs before it can be used.
func (b *Broker) afterSet(meta vault.Metadata, v secret.Value) string {
	var said []string
	if len(meta.Destinations) == 0 {
		to := "HOST"
		if found := b.c.Catalogue.ForValue(v); len(found) == 1 && found[0].Needs == "" {
			to = strings.Join(found[0].Hosts, " --to ")
		}
		said = append(said, "It cannot be used until a human says where it may go. Ask the owner to run: "+setCommand(meta.Path)+" --keep-value --to "+to)
	} else {
		said = append(said, "Everybody who uses this secret uses the new value from now on.")
	}
	if !meta.ExpiresAt.IsZero() && !meta.ExpiresAt.After(b.now()) {
		said = append(said, "The secret has expired, and a new value alone does not bring it back. Ask the owner to run: "+
			setCommand(meta.Path)+" --keep-value --expires 90d")
	}
	return strings.Join(said, " ")
}

// toEnter says how a value gets in without passing the model. It looks at the
// vault only for who may list the path.
func (b *Broker) toEnter(ctx context.Context, who identity.Principal, p vault.Path) (Stored, error) {
	j := b.judge(who)
	e := b.entry(who, "secret.updated")
	e.Path = p
	if _, err := b.decide(ctx, j, &e, policy.Set, p); err != nil {
		return Stored{}, b.refuse(ctx, &e, err)
	}
	if err := b.admit(ctx, who); err != nil {
		return Stored{}, err
	}
	const human = "Nothing was stored. To keep the value out of this conversation, ask the owner to run this and to answer its hidden prompt: "
	out := Stored{Metadata: vault.Metadata{Path: p}, Next: human + setCommand(p)}
	if shown, err := b.shows(ctx, j.asReader(), p); !shown {
		return out, err
	}
	meta, err := b.c.Vault.Describe(ctx, p)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		out.Shown, out.Next = true, out.Next+" --to HOST"
		return out, nil
	case err != nil:
		return Stored{}, err
	}
	out.Shown, out.Metadata = true, meta
	switch {
	case meta.Generate != "":
		out.Next = "Nothing was stored. This desk can make the next value by itself: call rotate_secret, or ask the owner to run: coatcheck secret rotate '" + string(p) + "' --generate"
	case len(meta.Destinations) == 0:
		out.Next += " --to HOST"
	}
	return out, nil
}
