package embedded

import "time"

// Cheap makes a passphrase source that hashes with 1 MiB in one pass, and
// accepts as little, for tests that open many times.
func Cheap(src KeySource) KeySource {
	p := src.(*passphrase)
	p.cost = argonCost{memory: 1 << 10, passes: 1, lanes: usualCost.lanes}
	p.floor = p.cost
	return p
}

// Hurried gives a keyring source less time.
func Hurried(src KeySource, wait time.Duration) KeySource {
	src.(*osKey).wait = wait
	return src
}
