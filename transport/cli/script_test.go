package cli_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // scripts damage databases

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestMain puts the command on the PATH of scripts, with real streams, as
// main.go starts it. LATER in its environment is how far its clock is ahead,
// KEYRING a folder that is its keyring, and KILL the number of the step of a rekey
// after which it is killed.
func TestMain(m *testing.M) {
	commands := map[string]func(){
		"coatcheck": func() {
			detach()
			if os.Getenv(hosting) != "" {
				fmt.Fprintln(os.Stderr, host(coatcheck))
				os.Exit(helperFailed)
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			context.AfterFunc(ctx, stop)
			os.Exit(coatcheck(ctx))
		},
	}
	// "peek PATH…" names those of the files that it can open.
	commands["peek"] = func() {
		for _, path := range os.Args[1:] {
			if f, err := os.Open(path); err == nil {
				_ = f.Close()
				fmt.Println(path)
			}
		}
	}
	addHelpers(commands)
	testscript.Main(m, commands)
}

func coatcheck(ctx context.Context) (code int) {
	std := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	if later, err := time.ParseDuration(os.Getenv("LATER")); err == nil {
		return cli.MainAt(ctx, std, os.Args[1:], os.Getenv, func() time.Time { return time.Now().Add(later) })
	}
	if ring, kill := os.Getenv("KEYRING"), os.Getenv("KILL"); ring != "" || kill != "" {
		return cli.MainIn(ctx, std, os.Args[1:], os.Getenv, fileRing(ring), killAfter(kill))
	}
	return cli.Main(ctx, std, os.Args[1:], os.Getenv)
}

// TestScript runs the promises of the command line, one to a file. A script
// starts with an empty folder and a home that does not exist yet. Besides the
// commands of testscript it has those of scriptCommands, and in $control a text
// with a control character and in $initialize a client's first message.
func TestScript(t *testing.T) {
	t.Parallel()
	relay := newScriptRelay(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: scriptCommands(),
		// [smalldisk]: the helper "full" works here.
		Condition: func(name string) (bool, error) {
			if name != "smalldisk" {
				return false, fmt.Errorf("no condition %q", name)
			}
			return canFull(t.TempDir()), nil
		},
		Setup: func(env *testscript.Env) error {
			env.Values[scriptServers{}], env.Values[scriptReceivers{}] = map[string]*scriptServer{}, map[string]*webhookReceiver{}
			env.Values[scriptUpstreams{}], env.Values[scriptStreams{}] = map[string]*upstream{}, map[string]*sseStream{}
			env.Values[scriptHost{}] = &scriptHost{relay: relay}
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program waits a second under the race detector
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("control", "a\x1bb")
			env.Setenv("initialize", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":`+
				`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"script","version":"1"}}}`)
			env.Setenv("COATCHECK_HOME", filepath.Join(env.WorkDir, "home"))
			return os.Chmod(env.WorkDir, 0o700)
		},
	})
}

func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, []string){
		// code N PROGRAM [ARG…]: the program ends with exit code N.
		"code": func(ts *testscript.TestScript, args []string) {
			want, err := strconv.Atoi(args[0])
			ts.Check(err)
			if got := exitCode(ts, args[1:]); got != want {
				ts.Fatalf("exit code %d, want %d", got, want)
			}
		},
		// holds PATH TEXT: the value of a secret is TEXT, to the byte.
		"holds": func(ts *testscript.TestScript, args []string) {
			if code := exitCode(ts, []string{"coatcheck", "secret", "get", args[0]}); code != 0 {
				ts.Fatalf("exit code %d", code)
			}
			if got := ts.ReadFile("stdout"); got != args[1] {
				ts.Fatalf("holds %q, want %q", got, args[1])
			}
		},
		// json FIELD PATTERN: a field of the JSON document on stdout, such as
		// items.0.path, is there and matches.
		"json": func(ts *testscript.TestScript, args []string) {
			got, err := jsonField(ts.ReadFile("stdout"), args[0])
			ts.Check(err)
			if !regexp.MustCompile(args[1]).MatchString(got) {
				ts.Fatalf("%s is %q, want %q", args[0], got, args[1])
			}
		},
		// capture NAME [FIELD]: put stdout, or a field of its JSON document, into
		// a variable.
		"capture": func(ts *testscript.TestScript, args []string) {
			text := strings.TrimSuffix(ts.ReadFile("stdout"), "\n")
			if len(args) > 1 {
				var err error
				text, err = jsonField(text, args[1])
				ts.Check(err)
			}
			ts.Setenv(args[0], text)
		},
		// empty DIR: nothing is in that folder.
		"empty": func(ts *testscript.TestScript, args []string) {
			entries, err := os.ReadDir(ts.MkAbs(args[0]))
			ts.Check(err)
			if len(entries) > 0 {
				ts.Fatalf("%v in %s", entries, args[0])
			}
		},
		// protocol N: stdout is N lines, each one a JSON-RPC message.
		"protocol": func(ts *testscript.TestScript, args []string) {
			lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
			for _, line := range lines {
				if got, err := jsonField(line, "jsonrpc"); err != nil || got != "2.0" {
					ts.Fatalf("not a message: %q", line)
				}
			}
			if strconv.Itoa(len(lines)) != args[0] {
				ts.Fatalf("%d messages, want %s", len(lines), args[0])
			}
		},
		// sized FILE N: make a file of N bytes "x".
		"sized": func(ts *testscript.TestScript, args []string) {
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("x", n)), 0o600))
		},
		// bytes FILE HEX: make a file of these bytes.
		"bytes": func(ts *testscript.TestScript, args []string) {
			data, err := hex.DecodeString(args[1])
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
		},
		// swap FILE OLD NEW COPY: make a copy in which one text is another.
		"swap": func(ts *testscript.TestScript, args []string) {
			was := ts.ReadFile(args[0])
			if strings.Count(was, args[1]) != 1 {
				ts.Fatalf("%q does not stand once in %s", args[1], args[0])
			}
			ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(strings.Replace(was, args[1], args[2], 1)), 0o600))
		},
		// mode PATH OCTAL: the permissions of a file or folder.
		"mode": func(ts *testscript.TestScript, args []string) {
			info, err := os.Stat(ts.MkAbs(args[0]))
			ts.Check(err)
			if got := strconv.FormatInt(int64(info.Mode().Perm()), 8); got != args[1] {
				ts.Fatalf("mode %s, want %s", got, args[1])
			}
		},
		// sql DATABASE STATEMENT: change a database behind the program's back.
		"sql": func(ts *testscript.TestScript, args []string) {
			db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
			ts.Check(err)
			_, err = db.ExecContext(context.Background(), args[1])
			ts.Check(errors.Join(err, db.Close()))
		},
		// snapshot DIR: remember every file below DIR.
		"snapshot": func(ts *testscript.TestScript, args []string) {
			ts.Check(os.WriteFile(ts.MkAbs(args[0])+".snapshot", []byte(fileListing(ts, args[0])), 0o600))
		},
		// unchanged DIR: every file below DIR is as remembered.
		"unchanged": func(ts *testscript.TestScript, args []string) {
			if was, is := ts.ReadFile(args[0]+".snapshot"), fileListing(ts, args[0]); was != is {
				ts.Fatalf("changed; it was\n%sand is\n%s", was, is)
			}
		},
		// expand FROM TO: make a file of mode 0600 like FROM, its ${NAMES} replaced.
		"expand": func(ts *testscript.TestScript, args []string) {
			text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
			ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
		},
		"certificate": scriptCertificate,
		"serving":     scriptServe,
		"terminate":   scriptStop,
		"status":      scriptStatus,
		"receiving":   scriptReceive,
		"told":        scriptTold,
		"holding":     scriptHold,
		"held":        scriptHeld,
		"release":     scriptRelease,
		"streaming":   scriptStream,
		"say":         scriptSay,
		"heard":       scriptHeard,
		"stopping":    scriptStopping,
		"working":     scriptWorking,
		"ended":       scriptEnded,
	}
	known := make(map[string]func(*testscript.TestScript, bool, []string), len(commands))
	for name, run := range commands {
		known[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s has no opposite", name)
			}
			run(ts, args)
		}
	}
	return known
}

func exitCode(ts *testscript.TestScript, command []string) int {
	err := ts.Exec(inHost(ts, command[0]), command[1:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", command[0], err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

// field returns a scalar of a JSON document, or the number of entries of an
// object or list.
func jsonField(document, name string) (string, error) {
	var at any
	if err := json.Unmarshal([]byte(document), &at); err != nil {
		return "", fmt.Errorf("not one JSON document: %w", err)
	}
	for part := range strings.SplitSeq(name, ".") {
		var found bool
		switch in := at.(type) {
		case map[string]any:
			at, found = in[part]
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i < len(in) {
				at, found = in[i], true
			}
		}
		if !found {
			return "", fmt.Errorf("no field %s at %s in %s", name, part, document)
		}
	}
	switch v := at.(type) {
	case map[string]any:
		return strconv.Itoa(len(v)), nil
	case []any:
		return strconv.Itoa(len(v)), nil
	default:
		return fmt.Sprint(v), nil
	}
}

// listing names every file below dir with its mode and content.
func fileListing(ts *testscript.TestScript, dir string) string {
	var files []string
	root := ts.MkAbs(dir)
	ts.Check(filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", name, info.Mode())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d bytes, %x", len(data), sha256.Sum256(data))
		}
		files = append(files, line+"\n")
		return nil
	}))
	slices.Sort(files)
	return strings.Join(files, "")
}
