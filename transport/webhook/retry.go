package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

const (
	firstWait  = 5 * time.Second
	longWait   = time.Hour
	maxAsked   = 6 * time.Hour  // that a receiver may ask for
	giveUp     = 24 * time.Hour // age of an event that is not tried again
	refusals   = 10             // attempts with an event that the receiver finds malformed
	attemptMax = 15 * time.Second
	drain      = 5 * time.Second // for an attempt under way when the sender stops
)

func jitter() float64 { return rand.Float64() } //nolint:gosec // spreads load and guards nothing

// backoff is the wait after that many failures in a row.
func backoff(failures int, jitter float64) time.Duration {
	wait := longWait
	if doublings := failures - 1; doublings < 10 { // beyond it is longer than longWait in any case
		wait = min(longWait, firstWait<<max(0, doublings))
	}
	return wait + time.Duration(jitter*float64(wait)/5)
}

// verdict is what became of an attempt.
type verdict struct {
	ok, gone, malformed bool
	code                string        // why not ok: a code of package redeem, http_NNN, no_key
	asked               time.Duration // the receiver asks to be left alone for so long
}

// judge reads an answer.
func judge(answer *redeem.Response, now time.Time) verdict {
	v := verdict{code: "http_" + strconv.Itoa(answer.Status)}
	switch answer.Status {
	case http.StatusGone:
		v.gone = true
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		v.malformed = true
	}
	v.ok = answer.Status >= 200 && answer.Status <= 299
	for _, f := range answer.Headers {
		if f.Name == "Retry-After" {
			v.asked = max(0, min(retryAfter(f.Value, now), maxAsked))
		}
	}
	return v
}

// retryAfter reads a Retry-After: seconds or a date (RFC 9110 §10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return at.Sub(now)
}
