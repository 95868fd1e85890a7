package lines

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrTooLong is a line over the limit; it has been read to its end.
var ErrTooLong = errors.New("line is too long")

// Reader reads newline-delimited messages of bounded length.
type Reader struct {
	from  *bufio.Reader
	limit int // bytes, without the newline
}

// NewReader returns a Reader of lines of at most limit bytes, without the newline.
func NewReader(in io.Reader, limit int) *Reader {
	return &Reader{from: bufio.NewReaderSize(in, 64<<10), limit: limit}
}

// Next returns one line without its end, as bytes that the caller keeps. A
// last line without newline counts. Errors: [ErrTooLong], after which Next
// goes on with the line after; [io.EOF] and those of in.
func (l *Reader) Next() ([]byte, error) {
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
			return nil, ErrTooLong
		default:
			return line, nil
		}
	}
}
