package cli_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

// settable are the limits that config.yaml has a field for.
var settable = map[string]string{
	"Limits.Connections": "limits.connections", "Limits.PerPrincipal": "limits.requests", "Limits.Streams": "limits.streams", "Limits.Drain": "limits.drain",
	"Limits.Rate": "limits.rate", "Limits.OpenRate": "limits.open_rate", "Limits.Failures": "limits.failures",
}

// limitTable is the README's: what stands beside each field, with the default that
// is really in force.
func limitTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| what | default | beyond it | in `config.yaml` |\n|---|---|---|---|\n")
	for _, from := range []struct {
		file     string
		defaults any
	}{{"../httpd/config.go", httpd.DefaultLimits()}, {"../mcp/server.go", mcp.NewServer(nil, nil).Options}, {"../mcp/bridge/bridge.go", bridge.New(nil, nil).Options}} {
		values := reflect.ValueOf(from.defaults)
		for _, field := range fieldsOf(t, from.file, values.Type().Name()) {
			parts := strings.Split(field.comment, "; ")
			if len(parts) < 2 || !strings.Contains("0123456789", parts[1][:1]) {
				continue // not a limit
			}
			if got := inWords(values.FieldByName(field.name), parts[0]); got != strings.TrimSuffix(parts[1], ";") {
				t.Errorf("%s: the default is %s, %s stands beside it", field.name, got, parts[1])
			}
			beyond, name := "", settable[values.Type().Name()+"."+field.name]
			if len(parts) > 2 {
				beyond = parts[2]
			}
			if name != "" {
				name = "`" + name + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", parts[0], strings.TrimSuffix(parts[1], ";"), beyond, name)
		}
	}
	if n := strings.Count(b.String(), "`limits."); n != len(settable) {
		t.Errorf("%d of %d settable limits are in the table", n, len(settable))
	}
	return b.String()
}

type field struct{ name, comment string }

// fieldsOf returns a struct's fields with what stands beside them.
func fieldsOf(t *testing.T, file, name string) (out []field) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		if st, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				if f.Comment != nil && len(f.Names) == 1 {
					out = append(out, field{f.Names[0].Name, strings.TrimSpace(f.Comment.Text())})
				}
			}
		}
		return false
	})
	if len(out) == 0 {
		t.Fatalf("no fields of %s in %s", name, file)
	}
	return out
}

// inWords writes a default as people do: 4 MiB, 30 s, 4,096.
func inWords(v reflect.Value, what string) string {
	n := v.Int()
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		if d := time.Duration(n); d >= 2*time.Minute {
			return fmt.Sprintf("%d min", d/time.Minute)
		}
		return fmt.Sprintf("%d s", time.Duration(n)/time.Second)
	case strings.HasPrefix(what, "bytes") && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case strings.HasPrefix(what, "bytes"):
		return fmt.Sprintf("%d KiB", n>>10)
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	default:
		return fmt.Sprint(n)
	}
}

// TestLimitDefaults: config.yaml as init writes it says what is in force anyway.
func TestLimitDefaults(t *testing.T) {
	d := httpd.DefaultLimits()
	want := fmt.Sprintf("limits:\n  connections: %d\n  requests: %d\n  streams: %d\n  rate: %d\n  open_rate: %d\n  failures: %d\n  drain: %s\n",
		d.Connections, d.PerPrincipal, d.Streams, d.Rate, d.OpenRate, d.Failures, d.Drain)
	if !strings.Contains(cli.DefaultConfig, want) {
		t.Errorf("config.yaml does not have\n%s", want)
	}
}
