package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// transit is a [KeySource] whose key never leaves a transit engine of OpenBao or
// HashiCorp Vault: the keyset is sent there to be sealed and opened. Sealed text
// is "coatcheck-wrap-1" and the engine's own text ("vault:v1:…").
//
// What is sent to be sealed is the SHA-256 of aad and then the keyset: engines
// that know nothing of associated data, or a key type without it, would open for
// one vault what was sealed for another. aad goes along as associated_data too,
// and as context, which keys with derivation ask for.
//
// Two requests are all there is to it, so it is written here: both Tink's own
// integration and OpenBao's client were measured at half a millisecond and more
// of every start, and both let variables of the environment say where the token
// goes.
type transit struct {
	address   url.URL // scheme and host
	mount     string
	name      string
	namespace string
	tokenFile string
	caFile    string
	getenv    func(string) string
}

const (
	transitWait    = 10 * time.Second
	maxTransitBody = 64 << 10
	maxTokenFile   = 16 << 10
)

// Seal implements [KeySource].
func (t *transit) Seal(ctx context.Context, plain, aad []byte) ([]byte, error) {
	bound := sha256.Sum256(aad)
	inside := append(bound[:], plain...)
	defer clear(inside)
	data, err := t.call(ctx, "encrypt", aad, "plaintext", base64.StdEncoding.EncodeToString(inside))
	if err != nil {
		return nil, err
	}
	if !sealedByTransit(data.Ciphertext) {
		return nil, t.unavailable("its answer is not that of a transit engine")
	}
	return append([]byte(transitMark), data.Ciphertext...), nil
}

// Open implements [KeySource].
func (t *transit) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	text, ok := bytes.CutPrefix(sealed, []byte(transitMark))
	if !ok {
		return nil, notMine(t, sealed)
	}
	if !sealedByTransit(string(text)) {
		return nil, fmt.Errorf("%w: keyset", vault.ErrCorrupt)
	}
	data, err := t.call(ctx, "decrypt", aad, "ciphertext", string(text))
	if err != nil {
		return nil, err
	}
	inside, err := base64.StdEncoding.DecodeString(data.Plaintext)
	bound := sha256.Sum256(aad)
	if err != nil || len(inside) < len(bound) || subtle.ConstantTimeCompare(inside[:len(bound)], bound[:]) != 1 {
		return nil, fmt.Errorf("%w: what %s opened belongs to another vault", vault.ErrKeyWrong, t)
	}
	return inside[len(bound):], nil
}

// sealedByTransit accepts the engine's "vault:v1:" and base64, in its one spelling:
// a changed character must not pass because its bits are not used.
func sealedByTransit(text string) bool {
	name, rest, _ := strings.Cut(text, ":v")
	version, box, _ := strings.Cut(rest, ":")
	_, notNumber := strconv.ParseUint(version, 10, 32)
	_, notBase64 := base64.StdEncoding.Strict().DecodeString(box)
	return len(text) < maxTransitBody && plainName(name) && notNumber == nil && box != "" && notBase64 == nil
}

// transitData is what an engine answers.
type transitData struct {
	Ciphertext string `json:"ciphertext"`
	Plaintext  string `json:"plaintext"`
}

// call makes one request and says in our words why it did not work: what a
// server says is never repeated.
func (t *transit) call(ctx context.Context, verb string, aad []byte, field, text string) (data transitData, err error) {
	ctx, cancel := context.WithTimeout(ctx, transitWait)
	defer cancel()
	token, err := t.token()
	if err != nil {
		return data, err
	}
	client, err := t.client()
	if err != nil {
		return data, err
	}
	defer client.CloseIdleConnections()
	bound := base64.StdEncoding.EncodeToString(aad)
	body, err := json.Marshal(map[string]string{field: text, "associated_data": bound, "context": bound})
	if err != nil {
		return data, err
	}
	u := t.address
	u.Path = "/v1/" + t.mount + "/" + verb + "/" + t.name
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return data, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Vault-Request", "true")
	r.Header.Set("X-Vault-Token", token)
	if t.namespace != "" {
		r.Header.Set("X-Vault-Namespace", t.namespace)
	}
	answer, err := client.Do(r)
	if err != nil {
		return data, t.silent(ctx, err)
	}
	defer answer.Body.Close() //nolint:errcheck // what was read counts
	text2, err := io.ReadAll(io.LimitReader(answer.Body, maxTransitBody))
	if err != nil {
		return data, t.silent(ctx, err)
	}
	if err := t.refused(verb, answer.StatusCode, text2); err != nil {
		return data, err
	}
	var envelope struct {
		Data transitData `json:"data"`
	}
	if json.Unmarshal(text2, &envelope) != nil {
		return data, t.unavailable("its answer is not that of a transit engine")
	}
	return envelope.Data, nil
}

// refused is the error of an answer that is not 200.
func (t *transit) refused(verb string, status int, body []byte) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return t.unavailable("the token is wrong, has expired or may not " + verb + " with this key; see BAO_TOKEN, VAULT_TOKEN or token-file, and the token's policy")
	case status == http.StatusNotFound, status == http.StatusBadRequest && bytes.Contains(body, []byte("encryption key not found")):
		return fmt.Errorf("%w: %s has no such engine or key; see that mount and name are right, or bring back the key", vault.ErrKeyMissing, t)
	case status == http.StatusBadRequest && verb == "decrypt":
		return fmt.Errorf("%w: %s did not seal it, or its version was removed", vault.ErrKeyWrong, t)
	case status == http.StatusBadRequest:
		return t.unavailable("the key does not encrypt; it must be a symmetric one with authentication, such as aes256-gcm96")
	case status == http.StatusServiceUnavailable:
		return t.unavailable("it is sealed or in maintenance; unseal it and try again")
	case status >= 300 && status < 400:
		return t.unavailable("it sends on to another address; name that one, since a token is not carried along")
	default:
		return t.unavailable(fmt.Sprintf("it answers %d", status))
	}
}

func (t *transit) unavailable(why string) error {
	return fmt.Errorf("%w: %s: %s", vault.ErrKeyUnavailable, t, why)
}

// silent is the error of a request that got no answer.
func (t *transit) silent(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	switch {
	case certificateError(err):
		return t.unavailable("its certificate is not trusted here; name the authority's with ca-file")
	case ctx.Err() != nil:
		return t.unavailable("no answer in time")
	default:
		return t.unavailable("no answer; see that it runs and that its address is right")
	}
}
