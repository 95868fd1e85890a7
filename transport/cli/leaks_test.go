package cli_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

var everyLeak = flag.Bool("leaks.all", false, "the whole leak corpus through the doors and not a part of it")

// leakTest is one upstream that tells all, and what may be seen of its answers.
type leakTest struct {
	*scene
	api     *leaky
	cases   int // spellings that came back
	answers int
}

// secretOf is a secret of the corpus: its path, its value, and what tells that
// it shows.
type secretOf struct {
	path, value, mask string
	canary            vaulttest.Canary
}

func newLeakTest(t *testing.T) *leakTest {
	t.Helper()
	return &leakTest{scene: newScene(t), api: newLeaky(t)}
}

// store puts a secret that may go to the upstream, in a JSON body.
func (l *leakTest) store(name, value string, more ...string) secretOf {
	l.t.Helper()
	path := "leaks/" + strings.ReplaceAll(name, " ", "-")
	args := append([]string{"secret", "set", path, "--exact", "--in", "json:/key"}, more...)
	for _, base := range l.api.base {
		args = append(args, "--to", base)
	}
	l.run(0, value, args...)
	return secretOf{path, value, "[secret " + path + "]", vaulttest.CanaryOf([]byte(value))}
}

// pieces are the secret in every encoding, between two other texts.
func (s secretOf) pieces(before, after string) (out []piece) {
	for _, e := range vaulttest.Encodings() {
		if text, left, ok := e.Around(before, s.value, after); ok {
			out = append(out, piece{fmt.Sprintf("%s between %q and %q", e.Name, before, after), string(text), left})
		}
	}
	return out
}

// batches are the pieces that a channel can carry, as many as it does at once.
func (c channel) batches(pieces []piece) (out [][]piece) {
	size := c.most
	for _, p := range pieces {
		if c.fits != nil && !c.fits(p.text) || len(p.text) > c.most/2 {
			continue
		}
		if size += len(p.text) + 8; size > c.most || len(out[len(out)-1]) == atOnce(p) {
			out, size = append(out, nil), len(p.text)+8
		}
		out[len(out)-1] = append(out[len(out)-1], p)
	}
	return out
}

// atOnce is how many pieces one answer has. Many encodings of a long value in a
// row decode to so much that the whole answer is withheld.
func atOnce(p piece) int {
	if len(p.text) > 500 {
		return 8
	}
	return 48
}

// ask makes one request with a secret in it, whose answer is what send makes of
// the pieces, and holds the answer to what may be seen.
func (l *leakTest) ask(d door, proto, handle string, s secretOf, c channel, pieces []piece) {
	l.t.Helper()
	l.api.answers(s.value, func(w http.ResponseWriter) { c.send(w, pieces) })
	whole, result := d.call(l.t, "http_request", map[string]any{"method": "POST", "url": l.api.base[proto] + "/echo", "json": map[string]any{"key": handle}})
	l.cases += len(pieces)
	l.answers++
	where := fmt.Sprintf("%s, %s, %s", proto, c.name, s.path)
	if found := s.canary.Find(whole); found != nil {
		l.t.Errorf("%s: the answer shows the value: %s", where, strings.Join(found, ", "))
	}
	structured, _ := result["structuredContent"].(map[string]any)
	text := textOf(result)
	switch c.shown {
	case "":
		if bytes.Contains(whole, []byte("~0~")) {
			l.t.Errorf("%s: shows what it should not", where)
		}
	case "headers":
		headers, _ := structured["headers"].(map[string]any)
		l.masked(where, s, pieces, fmt.Sprint(headers["X-Echo"]))
		l.masked(where+" in text", s, pieces, text)
	default:
		l.masked(where, s, pieces, fmt.Sprint(structured[c.shown]))
		l.masked(where+" in text", s, pieces, text)
	}
}

func textOf(result map[string]any) (text string) {
	parts, _ := result["content"].([]any)
	for _, p := range parts {
		part, _ := p.(map[string]any)
		text += fmt.Sprint(part["text"])
	}
	return text
}

// masked holds a text to be the pieces with a mask in each of them, and next to
// nothing beside it. It knows nothing of how a scrubber works.
func (l *leakTest) masked(where string, s secretOf, pieces []piece, text string) {
	l.t.Helper()
	for i, p := range pieces {
		_, rest, ok := strings.Cut(text, opening(i))
		shown, _, end := strings.Cut(rest, opening(i+1))
		if !ok || !end {
			l.t.Errorf("%s: %s is not in its place", where, p.name)
			return
		}
		if left := len(strings.ReplaceAll(shown, s.mask, "")); left == len(shown) || left > p.left {
			l.t.Errorf("%s: %s: %d of %d bytes are left", where, p.name, left, len(p.text))
		}
	}
}

// corpus sends every shape in every encoding through channels.
func (l *leakTest) corpus(d door, channels []channel, secrets []secretOf, contexts [][2]string) {
	l.t.Helper()
	d.hello(l.t)
	for _, s := range secrets {
		handle := d.ticket(l.t, s.path)
		for _, around := range contexts {
			pieces := s.pieces(around[0], around[1])
			for _, c := range channels {
				for _, batch := range c.batches(pieces) {
					for _, proto := range protocols() {
						if c.only == "" || c.only == proto {
							l.ask(d, proto, handle, s, c, batch)
						}
					}
				}
			}
		}
	}
}

// protocols are those of the upstream. Elsewhere a process is not told by its
// environment whom to trust, so that TLS and with it HTTP/2 is tested on Linux.
func protocols() []string {
	if runtime.GOOS == "linux" {
		return []string{"h1", "h2"}
	}
	return []string{"h1"}
}

// socket gives the desk one and returns its path; "" where there is none of its
// kind.
func (l *leakTest) socket() string {
	l.t.Helper()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return ""
	}
	dir := filepath.Join(os.Getenv("TMPDIR"), "run")
	config := filepath.Join(l.env["COATCHECK_HOME"], "config.yaml")
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.WriteFile(config, fmt.Appendf(nil, "socket: %s/desk.sock\n", dir), 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return filepath.Join(dir, "desk.sock")
}

// splits sends every encoding of short values, as often as it has bytes, each
// time sent off in two at another byte.
func (l *leakTest) splits(d door, secrets []secretOf) {
	l.t.Helper()
	split := channel{"body, split at each byte", "", inBody, nil, func(w http.ResponseWriter, pieces []piece) {
		for i, p := range pieces {
			_, _ = io.WriteString(w, opening(i)+p.text[:i])
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, p.text[i:])
		}
		_, _ = io.WriteString(w, opening(len(pieces)))
	}, "body"}
	for _, s := range secrets {
		handle := d.ticket(l.t, s.path)
		for n, whole := range s.pieces("", "") {
			pieces := make([]piece, len(whole.text))
			for i := range pieces {
				pieces[i] = whole
				pieces[i].name += fmt.Sprintf(", split at %d", i)
			}
			for i, proto := range protocols() {
				if *everyLeak || n%2 == i { // the two take turns
					l.ask(d, proto, handle, s, split, pieces)
				}
			}
		}
	}
}

// paths sends the value itself, as a model would that had come by it, in the
// path of a request: it is not to stand in the record or a log.
func (l *leakTest) paths(d door, s secretOf) {
	l.t.Helper()
	handle := d.ticket(l.t, s.path)
	for _, p := range s.pieces("", "") {
		l.api.answers(s.value, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })
		d.call(l.t, "http_request", map[string]any{"method": "POST", "url": l.api.base["h1"] + "/" + url.PathEscape(p.text), "json": map[string]any{"key": handle}})
		l.cases++
	}
}

// TestLeakCorpus: whatever form of a value an upstream puts wherever it can, no
// client at any door sees it, and it is in no log, record, file or output. The
// upstream is real, and so are the programs and their pipes and sockets.
func TestLeakCorpus(t *testing.T) {
	l := newLeakTest(t)
	var secrets, short []secretOf
	for _, shape := range vaulttest.Shapes()[:leakShapes] {
		s := l.store(shape.Name, shape.Value)
		secrets = append(secrets, s)
		if len(shape.Value) < 100 {
			short = append(short, s)
		}
	}
	alone, around := [][2]string{{"", ""}}, [][2]string{{"id", "z"}}
	others := secrets
	if *everyLeak {
		alone = [][2]string{{"", ""}, {"x", ""}, {"id", "z"}, {"key=", "&b=1"}, {"Bearer ", "\n"}, {`{"a":"`, `"}`}}
		around = alone
	} else {
		others = short
	}

	stdio, end := l.overStdio(l.api.trust)
	l.corpus(stdio, channels(), secrets, alone)
	l.splits(stdio, short)
	l.paths(stdio, secrets[0])
	end()

	key := strings.TrimSpace(l.run(0, "", "agent", "add", "remote"))
	l.policy("version: 1\nrules:\n  - {name: all, agents: ['*'], paths: ['*'], allow: [list, use]}\n")
	socket := l.socket()
	base, stop := l.desk(l.api.trust)
	l.corpus(l.overHTTP(base, key), channels(), others, around)
	events, hangUp := l.overSSE(base, key)
	l.corpus(events, channels(), others, around)
	hangUp()
	if socket != "" {
		l.env["COATCHECK_AGENT_KEY"] = key
		bridge, end := l.overStdio(l.api.trust, "--server", "unix://"+socket)
		l.corpus(bridge, channels(), secrets[:1], around)
		end()
	}
	var canaries []vaulttest.Canary
	for _, s := range secrets {
		canaries = append(canaries, s.canary)
	}
	l.scan(canaries) // while the write-ahead log is there
	stop()

	l.run(0, "", "audit", "tail", "-n", "10000")
	l.run(0, "", "audit", "tail", "-n", "10000", "--json")
	l.run(0, "", "handle", "list", "--json")
	l.run(0, "", "secret", "list")
	l.scan(canaries)
	if l.api.wrong > 0 || l.api.arrived < l.answers {
		t.Errorf("%d requests arrived for %d answers, %d without the value", l.api.arrived, l.answers, l.api.wrong)
	}
	t.Logf("%d cases in %d answers", l.cases, l.answers)
}

// TestLeakCorpusOfFields: where the owner lets some fields be shown, those are
// masked, and of what has no such fields there is the status alone.
func TestLeakCorpusOfFields(t *testing.T) {
	l := newLeakTest(t)
	shape := vaulttest.Shapes()[0]
	s := l.store(shape.Name, shape.Value, "--answer", "fields:/error/echo")
	all := channels()
	for i := range all {
		if all[i].name != inJSON {
			all[i].shown = ""
		}
	}
	d, end := l.overStdio(l.api.trust)
	l.corpus(d, all, []secretOf{s}, [][2]string{{"", ""}, {"id", "z"}})
	end()
	l.scan([]vaulttest.Canary{s.canary})
	t.Logf("%d cases in %d answers", l.cases, l.answers)
}

// TestLeakCorpusOfPlainValues: what is too short or too plain to be found in a
// text is in no answer that could have it, whatever part of it that is: there is
// the status alone.
func TestLeakCorpusOfPlainValues(t *testing.T) {
	l := newLeakTest(t)
	secrets := []secretOf{l.store("short", "Zx9#k2!"), l.store("plain", "correcthorse"), l.store("repeated", strings.Repeat("ab1", 20))}
	d, end := l.overStdio(l.api.trust)
	d.hello(t)
	seen := 0
	for _, s := range secrets {
		handle := d.ticket(t, s.path)
		pieces := s.pieces("", "")
		for _, c := range channels() {
			for _, batch := range c.batches(pieces) {
				for _, proto := range protocols() {
					if c.only != "" && c.only != proto {
						continue
					}
					l.api.answers(s.value, func(w http.ResponseWriter) { c.send(w, batch) })
					whole, result := d.call(t, "http_request", map[string]any{"method": "POST", "url": l.api.base[proto] + "/echo", "json": map[string]any{"key": handle}})
					l.cases += len(batch)
					if found := s.canary.Find(whole); found != nil || bytes.Contains(whole, []byte("~0~")) {
						t.Errorf("%s, %s, %s: shown: %v", proto, c.name, s.path, found)
					}
					if result["isError"] == true {
						continue
					}
					seen++
					structured, _ := result["structuredContent"].(map[string]any)
					if status, _ := structured["status"].(float64); status < 200 || structured["withheld"] == "" {
						t.Errorf("%s, %s, %s: %v", proto, c.name, s.path, structured)
					}
					delete(structured, "status")
					delete(structured, "withheld")
					if want := "map[body: body_encoding:utf-8 headers:map[] masked:0 shown:status truncated:false]"; fmt.Sprint(structured) != want {
						t.Errorf("%s, %s, %s: shows %v", proto, c.name, s.path, structured)
					}
				}
			}
		}
	}
	end()
	l.run(0, "", "audit", "tail", "-n", "10000", "--json")
	l.scan([]vaulttest.Canary{secrets[0].canary, secrets[1].canary, secrets[2].canary})
	if l.api.wrong > 0 || seen < 100 {
		t.Errorf("%d requests without the value, %d answers", l.api.wrong, seen)
	}
	t.Logf("%d cases, of which %d answers had a status", l.cases, seen)
}
