package client

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Defaults of [Options]; those of the seed where it names one.
const (
	DefaultBaseURL    = "https://api.agentsecretstore.com/v1"
	DefaultTimeout    = 10 * time.Second
	DefaultRetries    = 3
	DefaultRetryDelay = 500 * time.Millisecond
)

// NoRetries as [Options].Retries makes one attempt of every call.
const NoRetries = -1

// KeyVariable is the environment variable that [New] takes an agent key from.
const KeyVariable = "ASS_AGENT_KEY"

// Options of [New]. Zero fields mean their defaults.
type Options struct {
	// AgentKey is an agent key ("ass_live_…"), or a scoped token ("ast_tok_…")
	// of an agent. Zero: the environment variable ASS_AGENT_KEY.
	AgentKey secret.Value
	// BaseURL is where the service is, with or without "/v1" at its end. Zero:
	// [DefaultBaseURL]. It is https, or http on this machine's loopback.
	BaseURL string
	// AllowInsecure lets BaseURL be http elsewhere too: key and values then
	// travel in clear.
	AllowInsecure bool
	// Timeout of one attempt, from the connection to the last byte of the
	// answer. Zero: [DefaultTimeout].
	Timeout time.Duration
	// Retries is how often a call that failed is made again, if that can do no
	// harm (see the package comment). Zero: [DefaultRetries]; [NoRetries]: never.
	Retries int
	// RetryDelay is about how long the first retry waits; every further one
	// waits twice as long. Half of it is random. Zero: [DefaultRetryDelay].
	RetryDelay time.Duration
	// HTTPClient makes the requests; its Transport and Timeout are used, never
	// its redirects and cookies. Nil: a client of its own.
	HTTPClient *http.Client
	// Edition is what the service speaks. Zero: [Detect].
	Edition Edition
}

// Client speaks to one service with one key. It is safe for concurrent use and
// needs no closing.
type Client struct {
	base       string // with /v1, without a slash at its end
	key        secret.Value
	timeout    time.Duration
	retries    int
	retryDelay time.Duration
	http       *http.Client

	edition  atomic.Int32 // an Edition; Detect until it is known
	tokens   tokens       // of edition B
	requests requests     // tokens that wait for an approval
}

// New returns a client. It does no I/O. Nil options mean all defaults. Errors:
// *[AuthError] without a key, *[Error] with code [CodeValidation] for an option
// that cannot be.
func New(opts *Options) (*Client, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	key := o.AgentKey
	if key.IsZero() {
		key = secret.New([]byte(strings.TrimSpace(os.Getenv(KeyVariable))))
	}
	switch {
	case key.IsZero():
		return nil, &AuthError{base{Code: CodeUnauthorized, Message: "there is no agent key: set Options.AgentKey or " + KeyVariable}}
	case !visibleASCII(key.Reveal()):
		return nil, invalid("agent key", "has a character that no header carries")
	case o.Timeout < 0:
		return nil, invalid("timeout", "is negative")
	case o.Retries < NoRetries:
		return nil, invalid("retries", "is less than NoRetries")
	case o.RetryDelay < 0:
		return nil, invalid("retry delay", "is negative")
	case o.Edition < Detect || o.Edition > EditionB:
		return nil, invalid("edition", "is none of Detect, EditionA, EditionB")
	}
	base, err := parseBase(o.BaseURL, o.AllowInsecure)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: base, key: key, timeout: orDefault(o.Timeout, DefaultTimeout), retries: max(orDefault(o.Retries, DefaultRetries), 0),
		retryDelay: orDefault(o.RetryDelay, DefaultRetryDelay), http: ownHTTP(o.HTTPClient),
	}
	c.edition.Store(int32(o.Edition))
	return c, nil
}

// BaseURL returns where the service is, with "/v1" at its end.
func (c *Client) BaseURL() string { return c.base }

// ownHTTP returns a client that follows no redirect, since a credential would
// go along, and keeps no cookie.
func ownHTTP(given *http.Client) *http.Client {
	own := &http.Client{}
	if given != nil {
		*own = *given
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		own.Transport = transport.Clone()
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}

func orDefault[T comparable](given, whenZero T) T {
	var zero T
	if given == zero {
		return whenZero
	}
	return given
}

func visibleASCII(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
