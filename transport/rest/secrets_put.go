package rest

import (
	"net/http"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// createRequest is the body of edition A's POST.
type createRequest struct {
	Path      string `json:"path,omitempty" jsonschema_description:"Or namespace and key."`
	Namespace string `json:"namespace,omitempty"`
	Key       string `json:"key,omitempty"`
	valueFields
	secretFields
}

func (in *createRequest) path() (vault.Path, error) {
	switch {
	case in.Path != "" && in.Namespace == "" && in.Key == "":
		return vault.ParsePath(in.Path)
	case in.Path == "" && in.Key != "":
		return vault.JoinPath(in.Namespace, in.Key)
	}
	return "", &vault.InvalidError{Field: "path", Rule: "must be given, or namespace and key"}
}

// createSecret stores a secret where there is none (edition A).
func (h *Handler) createSecret(c *call, in *createRequest) (secretMetadata, error) {
	p, err := in.path()
	if err != nil {
		return secretMetadata{}, err
	}
	c.path = p
	change, err := in.change()
	if err == nil {
		change.Mode = vault.Create
		change.Value, err = in.value()
	}
	if err != nil {
		return secretMetadata{}, err
	}
	meta, err := h.desk.Put(c.ctx, c.who, p, change)
	if err != nil {
		return secretMetadata{}, err
	}
	return about(meta)
}

// putRequest is the body of edition B's PUT.
type putRequest struct {
	valueFields
	secretFields
}

// putSecret stores a secret or its next version (edition B).
func (h *Handler) putSecret(c *call, in *putRequest) (secretMetadata, error) {
	change, err := in.change()
	if err == nil {
		change.Value, err = in.value()
	}
	if err != nil {
		return secretMetadata{}, err
	}
	change = withoutDefaults(change)
	meta, err := h.desk.Put(c.ctx, c.who, c.path, change)
	if err != nil {
		return secretMetadata{}, err
	}
	out, err := about(meta)
	if meta.Version == 1 {
		out.status = http.StatusCreated
	}
	return out, err
}
