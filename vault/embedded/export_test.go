package embedded

import (
	"net/http"
	"time"
)

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

// Hasty lets a keyring ask its source again at once.
func Hasty(k *Keyring) { k.pause = 0 }

// Proxied reports whether a transit source would ask anybody for a proxy.
func Proxied(src KeySource) bool {
	client, err := src.(*transit).client()
	return err != nil || client.Transport.(*http.Transport).Proxy != nil
}
