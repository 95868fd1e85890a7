package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// shows names the forms in which value stands in text.
func shows(text, value string) (found []string) {
	escaped, err := json.Marshal(value)
	if err != nil {
		return []string{"unsearchable"}
	}
	for form, needle := range map[string]string{
		"raw": value, "base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(value)), "="),
		"hex": hex.EncodeToString([]byte(value)), "URL-escaped": url.QueryEscape(value), "JSON-escaped": strings.Trim(string(escaped), `"`),
	} {
		if strings.Contains(text, needle) {
			found = append(found, form)
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
