package broker

import (
	"context"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Namespace is a part of the tree of paths that holds secrets directly.
type Namespace struct {
	Path    string // "" is the top
	Secrets int    // how many the caller may list there, in this page
}

// NamespacePage is one page of namespaces.
type NamespacePage struct {
	Items []Namespace
	Next  string // cursor of the next page, "" at the end
}

// namespacePages is how many pages of secrets one page of namespaces reads at
// most, 10,000 secrets: a namespace is what its secrets have in common, and
// nothing but they knows of it.
const namespacePages = 50

// Namespaces returns the namespaces of the secrets that who may list, in the
// order in which their first secrets stand. One that goes on in the next page is
// counted there anew. Errors: those of [Broker.List].
func (b *Broker) Namespaces(ctx context.Context, who identity.Principal, after string) (NamespacePage, error) {
	if !who.AllowsNamespaces() {
		return NamespacePage{}, &Denied{
			Code: ScopeDenied, Scope: identity.NamespacesRead, Reason: "This is beyond what this agent or token was made for.",
			Next: "Ask for a token of scope " + identity.NamespacesRead + ".",
		}
	}
	who = who.AsReader() // a token for namespaces need not read; no name of a secret is shown
	var out NamespacePage
	index := map[string]int{}
	for range namespacePages {
		page, err := b.list(ctx, who, ListRequest{After: after, Limit: vault.MaxPageSize})
		if err != nil {
			return NamespacePage{}, err
		}
		for _, m := range page.Items {
			at := strings.LastIndexByte(string(m.Path), '/')
			name := string(m.Path[:max(at, 0)])
			i, known := index[name]
			if !known {
				i = len(out.Items)
				index[name] = i
				out.Items = append(out.Items, Namespace{Path: name})
			}
			out.Items[i].Secrets++
		}
		if after = page.Next; after == "" {
			return out, nil
		}
	}
	out.Next = after
	return out, nil
}
