package mcp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// errLineTooLong is a line over the limit; it has been read to its end.
var errLineTooLong = errors.New("line is too long")

// lines reads newline-delimited messages of bounded length.
type lines struct {
	from  *bufio.Reader
	limit int // bytes, without the newline
}

func newLines(in io.Reader, limit int) *lines {
	return &lines{from: bufio.NewReaderSize(in, 64<<10), limit: limit}
}

// next returns one line without its end, as bytes that the caller keeps. A
// last line without newline counts. Errors: errLineTooLong, after which next
// goes on with the line after; io.EOF and those of the reader.
func (l *lines) next() ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := l.from.ReadSlice('\n')
		part = bytes.TrimSuffix(part, []byte{'\n'})
		if long = long || len(line)+len(part) > l.limit; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case err != nil && !long && len(line) == 0:
			return nil, io.EOF
		case long:
			return nil, errLineTooLong
		default:
			return line, nil
		}
	}
}
