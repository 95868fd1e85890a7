package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// shows names the disguises in which value stands in text, as they are or in JSON.
func shows(text, value string) (found []string) {
	for _, d := range disguises() {
		form := d.write(value)
		escaped, err := json.Marshal(form)
		if err != nil || strings.Contains(text, form) || strings.Contains(text, strings.Trim(string(escaped), `"`)) {
			found = append(found, d.name)
		}
	}
	return found
}

// filesShow searches every file of the home: database, write-ahead log and all.
func filesShow(dir, value string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // the demo's own folder
		for _, form := range shows(string(text), value) {
			found = append(found, form+" in "+entry.Name())
		}
		return err
	})
	return found, err
}

type teeWriter struct {
	io.WriteCloser
	copy io.Writer
}

func (t teeWriter) Write(b []byte) (int, error) {
	_, _ = t.copy.Write(b)
	return t.WriteCloser.Write(b)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
