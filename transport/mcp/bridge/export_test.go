package bridge

import "io"

// ReadEvents returns the data of all events, and the error that ended them.
func ReadEvents(in io.Reader, limit int) (all []string, lastID string, err error) {
	e := newEvents(in, limit)
	for {
		data, err := e.next()
		if err != nil {
			return all, e.lastID, err
		}
		all = append(all, string(data))
	}
}

// ErrEventTooLong is errEventTooLong.
var ErrEventTooLong = errEventTooLong

// ReadMessage returns the line that is passed on, and whether it is an answer.
func ReadMessage(text []byte) (line []byte, answer bool, err error) {
	m, err := readMessage(text)
	return m.text, m.isAnswer(), err
}

// SameID is sameID.
var SameID = sameID

// HeaderText is headerText.
var HeaderText = headerText
