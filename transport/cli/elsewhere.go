package cli

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// vaultKeyName is the variable with this desk's key at a vault elsewhere. It is not
// the one of an agent's key, which says who calls here.
const vaultKeyName = "COATCHECK_VAULT_KEY"

// vaultFlag lets a command say where the secrets are.
func (a *app) vaultFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&a.vault, "vault", "", "the secrets are at `URL`, another desk or service (default from config.yaml: this home)")
}

// secrets returns the vault of a home: its own, or one elsewhere with what is kept
// of it here.
func (a *app) secrets(h home, d *desk, rows *rowmac.Key) (broker.Vault, error) {
	url := a.vault
	if url == "" {
		c, err := h.saying(vaultField)
		if err != nil {
			return nil, err
		}
		url = c.Vault
	}
	if url == "" {
		return embedded.New(d.db, d.keys, &embedded.Options{Now: d.clock.Now}), nil
	}
	key := strings.TrimSpace(a.getenv(vaultKeyName))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // values go there, and nowhere that the environment says
	options := client.Options{AgentKey: secret.New([]byte(key)), BaseURL: url, HTTPClient: &http.Client{Transport: transport}}
	if key == "" { // good for what needs no secret; the key is never taken from elsewhere
		options.AgentKey = secret.New([]byte("none"))
	}
	c, err := client.New(&options)
	if err != nil {
		return nil, usage("the address of the vault: %w", err) // there may be a password in it
	}
	d.away, d.keyed = c.BaseURL(), key != ""
	var far overlay.Far = c.Vault()
	if !d.keyed {
		far = keyless{}
	}
	d.far = overlay.New(d.db, rows, far, d.away)
	return d.far, nil
}

// errNoVaultKey is what everything ends in that needs the vault elsewhere.
func errNoVaultKey() error {
	return codedError{errors.New("the vault is elsewhere, and there is no key for it in " + vaultKeyName), exitKey, "Put a key that the vault gave out for this desk into " + vaultKeyName + "."}
}

// keyless is a vault elsewhere for which there is no key.
type keyless struct{}

func (keyless) Get(context.Context, vault.Path, int) (vault.Secret, error) {
	return vault.Secret{}, errNoVaultKey()
}

func (keyless) Describe(context.Context, vault.Path) (vault.Metadata, error) {
	return vault.Metadata{}, errNoVaultKey()
}

func (keyless) List(context.Context, vault.Query) (vault.Page, error) {
	return vault.Page{}, errNoVaultKey()
}

func (keyless) Put(context.Context, vault.Path, vault.Change) (vault.Metadata, error) {
	return vault.Metadata{}, errNoVaultKey()
}

func (keyless) Delete(context.Context, vault.Path, bool) error { return errNoVaultKey() }

func (keyless) Restore(context.Context, vault.Path) (vault.Metadata, error) {
	return vault.Metadata{}, errNoVaultKey()
}

func (keyless) History(context.Context, vault.Path) ([]vault.Version, error) {
	return nil, errNoVaultKey()
}

func (keyless) Close() error { return nil }
