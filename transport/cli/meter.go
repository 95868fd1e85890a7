package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Progress shows for work on so many things, this often.
const (
	meterFrom  = 1000
	meterEvery = 100 * time.Millisecond
)

// meter shows a person how far some work is: one line that is written over and
// goes away at the end. A pipe sees nothing of it.
type meter struct {
	done atomic.Int64
	stop func()
}

// meter starts one on standard error where a person looks at it, and one that
// shows nothing elsewhere.
func (a *app) meter(doing string, total int) *meter {
	if a.json || total < meterFrom || !isTerminal(a.Err) {
		return &meter{stop: func() {}}
	}
	ticker := time.NewTicker(meterEvery)
	m := startMeter(a.Err, doing, total, ticker.C)
	stop := m.stop
	m.stop = func() { ticker.Stop(); stop() }
	return m
}

// startMeter writes a line at each tick.
func startMeter(out io.Writer, doing string, total int, ticks <-chan time.Time) *meter {
	m := &meter{}
	ended := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		width := 0
		for {
			select {
			case <-ended:
				_, _ = io.WriteString(out, "\r"+strings.Repeat(" ", width)+"\r")
				return
			case <-ticks:
				line := fmt.Sprintf("%s %d of %d …", doing, m.done.Load(), total)
				width = max(width, len(line))
				_, _ = io.WriteString(out, "\r"+line)
			}
		}
	})
	m.stop = func() { close(ended); writing.Wait() }
	return m
}

// set notes how much is done. It never blocks.
func (m *meter) set(done int) { m.done.Store(int64(done)) }

// end takes the line away.
func (m *meter) end() { m.stop() }
