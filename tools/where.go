package tools

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// where is how arguments name a secret: path, or namespace and key.
type where struct {
	Path      string `json:"path,omitempty" jsonschema:"minLength=1,maxLength=512" jsonschema_description:"Path of the secret, for example production/openai/api-key. Give this, or namespace and key."`
	Namespace string `json:"namespace,omitempty" jsonschema:"maxLength=512" jsonschema_description:"Everything before the last slash of the path. Only together with key."`
	Key       string `json:"key,omitempty" jsonschema:"minLength=1,maxLength=512" jsonschema_description:"The last part of the path, after namespace. Not together with path."`
}

func (w *where) set(a *args, name string) bool {
	switch name {
	case "path":
		w.Path = a.text(vault.MaxPathBytes)
	case "namespace":
		w.Namespace = a.text(vault.MaxPathBytes)
	case "key":
		w.Key = a.text(vault.MaxPathBytes)
	default:
		return false
	}
	return true
}

// resolve returns the path that the arguments name.
func (w *where) resolve() (vault.Path, *Failure) {
	switch {
	case w.Path != "" && (w.Namespace != "" || w.Key != ""):
		return "", badArgument("path", "stands beside namespace or key; give one or the other")
	case w.Path == "" && w.Key == "":
		return "", badArgument("path", "is missing; give path, or namespace and key")
	}
	var p vault.Path
	var err error
	if w.Path != "" {
		p, err = vault.ParsePath(w.Path)
	} else {
		p, err = vault.JoinPath(w.Namespace, w.Key)
	}
	if err != nil {
		return "", failed(err).Failure
	}
	return p, nil
}

// destination tells where a secret may go and how it is put there.
type destination struct {
	To     string `json:"to" jsonschema_description:"What requests are allowed: methods, scheme, host, port and path patterns."`
	In     string `json:"in" jsonschema_description:"The one place in the request where the handle may stand, {} marking it where there is text around. header:NAME: Bearer {}, query:NAME, basic:USER:{}, json:POINTER (a string of the JSON body), form:NAME (a field of a form)."`
	Answer string `json:"answer,omitempty" jsonschema_description:"How much of the answer you are shown, when it is not all: status, or the fields of a JSON body (fields:/id,/items/*/name; * is every element)."`
}

func destinations(ds []vault.Destination) []destination {
	out := make([]destination, 0, len(ds))
	for _, d := range ds {
		if d.HTTP != nil {
			to := destination{To: d.String(), In: d.HTTP.In.String()}
			if d.HTTP.Answer.Show != vault.ShowFull {
				to.Answer = d.HTTP.Answer.String()
			}
			out = append(out, to)
		}
	}
	return out
}

// stamp writes t as RFC 3339 in UTC, to the second; "" when t is zero.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
