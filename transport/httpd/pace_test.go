package httpd_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

// taken takes for key until there is none, and returns how many there were and
// how long there is none.
func taken(p httpd.Pace, key string) (n int, wait time.Duration) {
	for wait = p.Take(key); wait == 0; wait = p.Take(key) {
		n++
	}
	return n, wait
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := httpd.NewPace(10, time.Second)
		for _, tt := range []struct {
			after time.Duration
			key   string
			n     int
			wait  time.Duration
		}{
			{0, "a", 10, time.Second},
			{0, "b", 10, time.Second}, // what one has taken is not the other's
			{time.Second, "a", 1, time.Second},
			{2500 * time.Millisecond, "a", 2, 500 * time.Millisecond},
			{500 * time.Millisecond, "a", 1, time.Second},
			{0, "b", 4, time.Second},
			{10 * time.Second, "a", 10, time.Second},
			{time.Hour, "a", 10, time.Second}, // no more than at once, however long nobody came
		} {
			time.Sleep(tt.after)
			if n, wait := taken(p, tt.key); n != tt.n || wait != tt.wait {
				t.Errorf("after %s, %s: %d and a wait of %s, want %d and %s", tt.after, tt.key, n, wait, tt.n, tt.wait)
			}
		}
	})
}

// TestPaceBound: whenever anybody comes, within any time there are no more than
// at once and those that the time brings; and who waits as told gets one.
func TestPaceBound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		atOnce, step := rapid.IntRange(1, 20).Draw(rt, "at once"), rapid.Int64Range(1, 1000).Draw(rt, "step")
		pauses := rapid.SliceOfN(rapid.Int64Range(0, 3*step), 1, 100).Draw(rt, "pauses")
		waits := rapid.SliceOfN(rapid.Bool(), len(pauses), len(pauses)).Draw(rt, "waits")
		var bad string
		synctest.Test(t, func(*testing.T) {
			p, start, n := httpd.NewPace(atOnce, time.Duration(step)), time.Now(), int64(0)
			for i, pause := range pauses {
				time.Sleep(time.Duration(pause))
				wait := p.Take("a")
				if wait > 0 && waits[i] {
					time.Sleep(wait)
					if wait = p.Take("a"); wait > 0 {
						bad = fmt.Sprintf("has to wait %s more", wait)
					}
				}
				if wait == 0 {
					n++
				}
				if bound := int64(atOnce) + int64(time.Since(start))/step; n > bound {
					bad = fmt.Sprintf("%d within %s", n, time.Since(start))
				}
			}
		})
		if bad != "" {
			rt.Fatal(bad)
		}
	})
}

// TestPaceForgets: whoever makes up keys fills no memory, and is not forgotten
// as long as few others come.
func TestPaceForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := httpd.NewPace(2, time.Second)
		taken(p, "a")
		for i := range 10 * httpd.MostKept {
			p.Take(strconv.Itoa(i))
			if p.Kept() > httpd.MostKept {
				t.Fatalf("%d kept", p.Kept())
			}
		}
		taken(p, "b")
		for i := range httpd.MostKept / 4 {
			p.Take(strconv.Itoa(-i))
		}
		if n, _ := taken(p, "b"); n != 0 {
			t.Errorf("forgotten: %d more", n)
		}
		time.Sleep(time.Hour)
		if p.Take("c"); p.Kept() != 1 {
			t.Errorf("%d kept for nothing", p.Kept())
		}
	})
}
