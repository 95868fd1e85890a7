package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// demoPath is the secret of the demo.
const demoPath = "demo/echo/api-key"

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Show the whole way with a made-up secret and a local API", Args: nothing,
		Long: "Makes a temporary home with one random secret, starts an API on this machine that echoes\n" +
			"the key it gets in ten disguises, and lets an MCP client talk to 'coatcheck mcp' as a model\n" +
			"would. Prints what the model saw beside what the API received and echoed, and removes the\n" +
			"home. Ends with code 1 if the value shows anywhere on the model's side.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

func (a *app) demo(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "coatcheck-demo-*") // mode 0700
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	api, err := startEcho(ctx)
	if err != nil {
		return err
	}
	defer api.stop()
	value := "demo-" + rand.Text()
	if err := a.demoHome(ctx, home(dir), value, api.address); err != nil {
		return err
	}
	model, err := a.demoModel(ctx, dir, api.address)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, model.stderr.String())
	}
	leaks := append([]string{}, shows(model.everything(), value)...)
	files, err := filesShow(dir, value)
	if err != nil {
		return err
	}
	return a.tell(model, api.received(), value, append(leaks, files...))
}

// demoHome fills the home with one secret that may go to the echo API.
func (a *app) demoHome(ctx context.Context, h home, value, address string) error {
	quiet := *a
	quiet.logLevel = "error"
	quiet.getenv = func(string) string { return "" } // a key source in the environment is not this home's
	if _, err := quiet.initialise(ctx, h, true, ""); err != nil {
		return err
	}
	d, err := quiet.open(ctx, h)
	if err != nil {
		return err
	}
	to, err := vault.ParseDestination("http://"+address, vault.Bearer)
	if err == nil {
		_, err = d.Put(ctx, identity.OwnerCLI(), demoPath, vault.Change{
			Value: secret.New([]byte(value)), Destinations: &[]vault.Destination{to},
		})
	}
	return d.finish(ctx, err)
}

// modelSide is all that a model, its client and whoever reads their logs see.
type modelSide struct {
	transcript, stderr lockedBuffer
	handle             string
	request            map[string]any
	answer             map[string]any
}

func (m *modelSide) everything() string { return m.transcript.String() + m.stderr.String() }

// demoModel starts coatcheck mcp as a client does and plays the model's part.
func (a *app) demoModel(ctx context.Context, dir, address string) (*modelSide, error) {
	m := &modelSide{}
	binary, err := binaryPath()
	if err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, binary, "mcp", "--log-level", "debug") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), "COATCHECK_HOME="+dir, "COATCHECK_KEY_SOURCE=", "COATCHECK_AGENT_KEY=", "ASS_AGENT_KEY=")
	cmd.Stderr = &m.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return m, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return m, err
	}
	if err := cmd.Start(); err != nil {
		return m, err
	}
	io1 := transport.NewIO(io.NopCloser(io.TeeReader(out, &m.transcript)), teeWriter{in, &m.transcript}, io.NopCloser(strings.NewReader("")))
	talk := m.talk(ctx, client.NewClient(io1), address)
	return m, errors.Join(talk, in.Close(), cmd.Wait())
}

func (m *modelSide) talk(ctx context.Context, c *client.Client, address string) error {
	if err := c.Start(ctx); err != nil {
		return err
	}
	hello := mcp.InitializeRequest{}
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "demo", Version: versionText()}
	if _, err := c.Initialize(ctx, hello); err != nil {
		return err
	}
	ticket, err := call(ctx, c, "get_secret", map[string]any{"path": demoPath})
	if err != nil {
		return err
	}
	if m.handle, _ = ticket["handle"].(string); m.handle == "" {
		return errors.New("get_secret gave no handle")
	}
	m.request = map[string]any{
		"method": "GET", "url": "http://" + address + "/echo",
		"headers": map[string]any{"Authorization": "Bearer " + m.handle},
	}
	m.answer, err = call(ctx, c, "http_request", m.request)
	return err
}

// call calls a tool and returns its structured result.
func call(ctx context.Context, c *client.Client, tool string, args map[string]any) (map[string]any, error) {
	r := mcp.CallToolRequest{}
	r.Params.Name, r.Params.Arguments = tool, args
	result, err := c.CallTool(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	if result.IsError {
		return nil, fmt.Errorf("%s was refused", tool)
	}
	fields, ok := result.StructuredContent.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s gave no structured result", tool)
	}
	return fields, nil
}

// tell prints the two sides and the verdict.
func (a *app) tell(m *modelSide, received, value string, leaks []string) error {
	if a.json {
		err := a.writeJSON(map[string]any{
			"model": map[string]any{"handle": m.handle, "request": m.request, "answer": m.answer}, "upstream": received, "leaks": leaks,
		})
		return errors.Join(err, verdict(leaks, received, value))
	}
	side := func(left, right string) {
		_, _ = fmt.Fprintln(a.Out, strings.TrimRight(fmt.Sprintf("%-64s  %s", left, right), " "))
	}
	side("WHAT THE MODEL SAW", "WHAT THE API RECEIVED")
	side("", "")
	side("get_secret "+demoPath, "")
	side("  handle "+m.handle, "")
	side(fmt.Sprintf("http_request GET %s", m.request["url"]), "GET /echo")
	side("  Authorization: Bearer "+m.handle, "Authorization: "+received)
	side(fmt.Sprintf("answer %v", m.answer["status"]), "and echoed")
	echoed := disguises()
	for line := range strings.SplitSeq(strings.TrimSpace(fmt.Sprint(m.answer["body"])), "\n") {
		right := ""
		if len(echoed) > 0 && strings.HasPrefix(line, echoed[0].name+":") {
			right, echoed = "  "+echoed[0].shown, echoed[1:]
		}
		side("  "+line, right)
	}
	side("", "")
	err := verdict(leaks, received, value)
	if err == nil {
		side("The value is nowhere in the transcript, the logs or the home's files.", "")
		return nil
	}
	for _, leak := range leaks {
		a.note("The value shows on the model's side: %s", leak)
	}
	return err
}

func verdict(leaks []string, received, value string) error {
	switch {
	case len(leaks) > 0:
		return errQuiet
	case received != "Bearer "+value:
		return errors.New("the API did not receive the value")
	default:
		return nil
	}
}

// binaryPath is this program as it was called, so that a link that survives
// upgrades stays the one that clients are told.
func binaryPath() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}
