package redeem

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Wire returns what net/http writes for p over HTTP/1.1.
func Wire(p *Prepared, values map[string]secret.Value, places map[string]Placement) ([]byte, error) {
	f, err := p.fill(values, places)
	if err != nil {
		return nil, err
	}
	request, err := p.request(context.Background(), f)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = request.Write(&b)
	return b.Bytes(), err
}

// Decode undoes the encodings that a Content-Encoding names.
func Decode(ctx context.Context, body io.Reader, contentEncoding string, limit int) (text []byte, more, known bool, err error) {
	list, known := codings(http.Header{"Content-Encoding": {contentEncoding}})
	if !known {
		return nil, false, false, nil
	}
	text, more, err = readBody(ctx, body, list, limit)
	return text, more, true, err
}

// Age makes every kept connection look older.
func (c *Client) Age(by time.Duration) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, l := range c.pool.lines {
		l.born = l.born.Add(-by)
	}
}

// Bounds of what is kept.
const (
	LineAge  = lineAge
	LineIdle = lineIdle
	MaxLines = maxLines
)

// Admits is the address table's answer for a request to host.
func Admits(a netip.Addr, host string, destinations ...vault.HTTPDestination) bool {
	return newTable().admits(a, host, destinations)
}

// CheckSocket runs the check of a socket that is about to connect, alone.
func CheckSocket(target vault.Target, address string) error {
	g := &guard{table: newTable(), target: target}
	return g.check("tcp", address, nil)
}
