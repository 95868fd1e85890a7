package cli

import (
	"fmt"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

// limits are what a platform may want to fit to its size. The others protect one
// client from another and need no fitting; the README has them all.
type limits struct {
	Connections *int    `yaml:"connections"`
	Requests    *int    `yaml:"requests"`
	Streams     *int    `yaml:"streams"`
	Rate        *int    `yaml:"rate"`
	OpenRate    *int    `yaml:"open_rate"`
	Failures    *int    `yaml:"failures"`
	Drain       *string `yaml:"drain"`
}

// most is the largest number that a limit may be: beyond it something is
// mistyped.
const most = 1_000_000

// maxDrain is longer than any service manager waits.
const maxDrain = 10 * time.Minute

// httpd are the limits of the server; what is not given is left at its default.
func (l limits) httpd() (out httpd.Limits, err error) {
	for _, n := range []struct {
		name string
		from *int
		to   *int
	}{
		{"connections", l.Connections, &out.Connections},
		{"requests", l.Requests, &out.PerPrincipal},
		{"streams", l.Streams, &out.Streams},
		{"rate", l.Rate, &out.Rate},
		{"open_rate", l.OpenRate, &out.OpenRate},
		{"failures", l.Failures, &out.Failures},
	} {
		switch {
		case n.from == nil:
		case *n.from < 1 || *n.from > most:
			return out, fmt.Errorf("limits.%s is not a number from 1 to %d", n.name, most)
		default:
			*n.to = *n.from
		}
	}
	if l.Drain != nil {
		if out.Drain, err = time.ParseDuration(*l.Drain); err != nil || out.Drain < time.Millisecond || out.Drain > maxDrain {
			return out, fmt.Errorf("limits.drain is not a duration such as 10s, up to %s", maxDrain)
		}
	}
	return out, nil
}
