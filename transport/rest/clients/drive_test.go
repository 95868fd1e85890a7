package clients_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// driven is a published client in a process of its own (testdata/js/drive.mjs).
type driven struct {
	in     io.Writer
	out    *bufio.Reader
	stderr *heard
}

// drive starts a client with its options and ends it with the test.
func (d *desk) drive(t *testing.T, which string, options map[string]any) *driven {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	cmd := exec.CommandContext(ctx, node(t), "drive.mjs", which, string(text))
	cmd.Dir, cmd.Env = clientFolder, d.env()
	c := &driven{stderr: &heard{}}
	cmd.Stderr = c.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v\n%s", which, err, c.stderr)
		}
	})
	c.in, c.out = in, bufio.NewReader(out)
	return c
}

// outcome is what came of a call: a result or an error.
type outcome struct {
	Result json.RawMessage
	Error  *problem
}

// problem is an error as the client threw it.
type problem struct {
	Is            []string // the client's classes that it is an instance of
	Name, Message string
	Code          any
	Status        int
	RetryAfter    float64
	ApprovalID    string
}

func (c *driven) call(t *testing.T, method string, args ...any) (o outcome) {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	line, err := json.Marshal(map[string]any{"method": method, "args": args})
	if err == nil {
		_, err = c.in.Write(append(line, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: %v\n%s", method, err, c.stderr)
	}
	decode(t, answer, &o)
	return o
}

// does makes a call that must succeed, and decodes its result.
func (c *driven) does(t *testing.T, into any, method string, args ...any) {
	t.Helper()
	o := c.call(t, method, args...)
	if o.Error != nil {
		t.Fatalf("%s: %+v", method, *o.Error)
	}
	decode(t, o.Result, into)
}

// fails makes a call that must throw an error of a class, with a status.
func (c *driven) fails(t *testing.T, class string, status int, method string, args ...any) problem {
	t.Helper()
	o := c.call(t, method, args...)
	if o.Error == nil {
		t.Fatalf("%s did not fail: %s", method, o.Result)
	}
	if !slices.Contains(o.Error.Is, class) || o.Error.Name != class || o.Error.Status != status {
		t.Fatalf("%s threw %+v, want %s with %d", method, *o.Error, class, status)
	}
	return *o.Error
}

// same compares what a client gave with what it should have.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// mentions fails unless a text has all parts.
func mentions(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}
