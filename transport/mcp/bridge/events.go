package bridge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

var errEventTooLong = errors.New("an event is too long")

// events reads a stream of server-sent events (WHATWG HTML §9.2.6).
type events struct {
	from   *bufio.Scanner
	limit  int           // bytes of one event's data
	lastID string        // of the last event that had one
	retry  time.Duration // what the server asks for; 0: it has not said
	first  bool
}

func newEvents(in io.Reader, limit int) *events {
	e := &events{from: bufio.NewScanner(in), limit: limit, first: true}
	e.from.Buffer(make([]byte, 0, min(4<<10, limit)), limit+len("data: "))
	e.from.Split(eventLines())
	return e
}

// eventLines splits at LF, CR and CRLF, without waiting for the byte after a CR.
func eventLines() bufio.SplitFunc {
	skip := false
	return func(data []byte, end bool) (int, []byte, error) {
		skipped := 0
		if skip && len(data) > 0 {
			skip = false
			if data[0] == '\n' {
				skipped, data = 1, data[1:]
			}
		}
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			skip = data[i] == '\r'
			return skipped + i + 1, data[:i], nil
		}
		if end { // an event without its end does not count
			return skipped + len(data), nil, nil
		}
		return skipped, nil, nil
	}
}

// next returns the data of the next event of the kind message. Errors: io.EOF,
// errEventTooLong and those of the stream.
func (e *events) next() ([]byte, error) {
	var data []byte
	kind, some := "", false
	for e.from.Scan() {
		line := e.from.Bytes()
		if e.first {
			line, e.first = bytes.TrimPrefix(line, []byte("\uFEFF")), false
		}
		if len(line) == 0 {
			if some && len(data) > 0 && (kind == "" || kind == "message") {
				return data, nil
			}
			data, kind, some = nil, "", false
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if some {
				data = append(data, '\n')
			}
			data, some = append(data, value...), true
			if len(data) > e.limit {
				return nil, errEventTooLong
			}
		case "event":
			kind = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 && len(value) <= 1024 {
				e.lastID = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	switch err := e.from.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, errEventTooLong
	case err != nil:
		return nil, err
	default:
		return nil, io.EOF
	}
}
