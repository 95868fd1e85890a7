package httpd

import "time"

// forgetful is a map that forgets what was not put for a while: it is there for
// keep at least, and gone after twice that; or earlier, once more than most
// others were put meanwhile, so that its size has a bound whoever chooses the
// keys. It is two maps, of which the older one is dropped as a whole: nothing is
// ever searched for what is old. Whoever has it locks it.
type forgetful[K comparable, V any] struct {
	keep time.Duration
	most int // in each of the two

	young, old map[K]V
	turned     time.Time // when young was begun
}

// mostKept is forgetful's most: of addresses, agents and credentials.
const mostKept = 16 << 10

func (f *forgetful[K, V]) get(key K, now time.Time) (V, bool) {
	f.turn(now)
	v, ok := f.young[key]
	if !ok {
		v, ok = f.old[key]
	}
	return v, ok
}

func (f *forgetful[K, V]) put(key K, v V, now time.Time) {
	f.turn(now)
	if len(f.young) >= f.most {
		f.old, f.young, f.turned = f.young, nil, now
	}
	if f.young == nil {
		f.young = map[K]V{}
	}
	f.young[key] = v
}

func (f *forgetful[K, V]) drop(key K) {
	delete(f.young, key)
	delete(f.old, key)
}

func (f *forgetful[K, V]) turn(now time.Time) {
	switch age := now.Sub(f.turned); {
	case age >= 2*f.keep:
		f.old, f.young, f.turned = nil, nil, now
	case age >= f.keep:
		f.old, f.young, f.turned = f.young, nil, now
	}
}
