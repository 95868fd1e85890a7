package bridge

import (
	"errors"
	"sync"
)

// verdict is what the desk was like in the end.
type verdict struct {
	mu    sync.Mutex
	of    bool // it was of use once
	cause error
}

func (v *verdict) good() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of, v.cause = true, nil
}

func (v *verdict) bad(cause error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case cause != nil:
		v.cause = cause
	case v.cause == nil:
		v.cause = ErrNoAnswer
	}
}

// error is nil for a desk that was of use and only went away.
func (v *verdict) error() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of && !errors.Is(v.cause, ErrKeyRefused) {
		return nil
	}
	return v.cause
}
