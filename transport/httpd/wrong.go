package httpd

import (
	"hash/maphash"
	"sync"
	"time"
)

// knownFor is for how long, at least, a credential that was right is looked up
// whatever came from its address meanwhile.
const knownFor = 10 * time.Minute

// wrong rations the look-ups of credentials that may be wrong: each costs a
// question to the database. Those that fail are charged to the address they come
// from, and none is looked up for one that has nothing left. That must not shut
// out good clients which share the address with a bad one, as all of this
// machine do:
//
//   - A credential that was right within the last minutes is always looked up.
//   - One and the same wrong credential, which a program repeats that has not
//     heard of its end, has a ration of its own, a tenth of the address's, and is stopped by that.
//     So it takes different ones to use up an address: a search, not a mistake.
//   - What was right is not charged.
//
// What remains is that somebody who comes anew has to wait his turn (Retry-After)
// while a search goes on at his address.
type wrong struct {
	seed maphash.Seed
	from *pace[string]  // by address
	same *pace[attempt] // by address and credential

	mu   sync.Mutex
	good forgetful[uint64, struct{}] // by credential
}

// attempt is a credential from somewhere. Of the credential there is a hash with
// a seed of this process, which is worth nothing elsewhere; should two have the
// same, one is looked up that need not have been.
type attempt struct {
	from       string
	credential uint64
}

// newWrong allows so many failures of one address in a minute.
func newWrong(aMinute int) *wrong {
	same := max(1, aMinute/10)
	return &wrong{
		seed: maphash.MakeSeed(),
		from: newPace[string](aMinute, time.Minute/time.Duration(aMinute)),
		same: newPace[attempt](same, time.Minute/time.Duration(same)),
		good: forgetful[uint64, struct{}]{keep: knownFor, most: mostKept},
	}
}

func (t *wrong) attempt(from, key string) attempt {
	return attempt{from, maphash.String(t.seed, key)}
}

// begin tells whether a credential may be looked up: after wait, if that is not
// 0. Else end follows, with the same known.
func (t *wrong) begin(a attempt) (known bool, wait time.Duration) {
	t.mu.Lock()
	_, known = t.good.get(a.credential, time.Now())
	t.mu.Unlock()
	if known {
		return true, 0
	}
	if wait = t.same.take(a); wait > 0 {
		return false, wait
	}
	if wait = t.from.take(a.from); wait > 0 {
		t.same.give(a)
	}
	return false, wait
}

// found is how a look-up ended.
type found int

const (
	nothing found = iota // it could not be made
	right
	unknown
)

func (t *wrong) end(a attempt, known bool, how found) {
	if !known && how != unknown { // it was charged in advance
		t.same.give(a)
		t.from.give(a.from)
	}
	if known && how == unknown {
		t.same.take(a)
		t.from.take(a.from)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch how {
	case nothing:
	case right:
		t.good.put(a.credential, struct{}{}, time.Now())
	case unknown:
		t.good.drop(a.credential)
	}
}
