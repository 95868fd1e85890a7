package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// deployed are the files of deploy; each has a test below.
var deployed = []string{"README.md", "client.json", "coatcheck.service", "config.yaml"}

// directives are what systemd.unit(5), systemd.service(5), systemd.exec(5) and
// systemd.kill(5) know, as far as a unit here may say it.
var directives = map[string]string{
	"Unit": "Description Documentation After Before Wants Requires Conflicts ConditionPathExists StartLimitBurst StartLimitIntervalSec",
	"Service": `Type ExecStart ExecStartPre ExecReload Restart RestartSec TimeoutStartSec TimeoutStopSec KillSignal KillMode User Group
		DynamicUser SupplementaryGroups WorkingDirectory Environment EnvironmentFile StandardError StandardOutput
		StateDirectory StateDirectoryMode RuntimeDirectory RuntimeDirectoryMode RuntimeDirectoryPreserve LogsDirectory ConfigurationDirectory UMask
		LimitCORE LimitNOFILE LimitMEMLOCK MemoryMax TasksMax
		NoNewPrivileges CapabilityBoundingSet AmbientCapabilities RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute KeyringMode RemoveIPC
		ProtectSystem ProtectHome PrivateTmp PrivateDevices PrivateMounts PrivateNetwork PrivateUsers ProtectProc ProcSubset ProtectClock
		ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ReadWritePaths ReadOnlyPaths
		InaccessiblePaths IPAddressAllow IPAddressDeny RestrictAddressFamilies RestrictNamespaces RestrictRealtime
		SystemCallArchitectures SystemCallFilter SystemCallErrorNumber`,
	"Install": "WantedBy RequiredBy Alias",
}

// promised is what the unit has to say for the desk to be apart.
var promised = map[string]string{
	"User": "coatcheck", "Environment": "COATCHECK_HOME=/var/lib/coatcheck",
	"StateDirectory": "coatcheck", "StateDirectoryMode": "0700", "RuntimeDirectory": "coatcheck", "RuntimeDirectoryMode": "0755", "UMask": "0077",
	"LimitCORE": "0", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "RestrictSUIDSGID": "yes",
	"MemoryDenyWriteExecute": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
	"ProtectProc": "invisible", "RestrictNamespaces": "yes", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
}

// unit reads a unit file: directives by section, in order.
func unit(t *testing.T, text string) map[string][][2]string {
	t.Helper()
	sections, section := map[string][][2]string{}, ""
	for i, line := range strings.Split(text, "\n") {
		name, value, found := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		case !found || section == "" || strings.TrimSpace(line) != line || strings.HasSuffix(line, `\`):
			t.Errorf("line %d is no directive: %s", i+1, line)
		default:
			sections[section] = append(sections[section], [2]string{name, value})
		}
	}
	return sections
}

// TestUnit: every directive is known in its section, what makes the desk apart is
// there, and systemd itself agrees where it is installed.
func TestUnit(t *testing.T) {
	text := example(t, "deploy/coatcheck.service")
	said := map[string]string{}
	for section, list := range unit(t, text) {
		for _, d := range list {
			if !slices.Contains(strings.Fields(directives[section]), d[0]) {
				t.Errorf("[%s] knows no %s", section, d[0])
			}
			said[d[0]] = d[1]
		}
	}
	for name, want := range promised {
		if got, ok := said[name]; !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, hides := said["PrivateUsers"]; hides {
		t.Error("PrivateUsers hides from the desk who connects")
	}
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not installed: the unit was read by this test alone")
		return
	}
	// It wants the program to be there.
	file := filepath.Join(t.TempDir(), "coatcheck.service")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "=/usr/local/bin/coatcheck ", "=/bin/true ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), systemd, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestDeploy starts what the unit starts, with the configuration, and connects as
// the client does; only the folders and the user are those of the test.
func TestDeploy(t *testing.T) {
	if got := files(t, "deploy"); !slices.Equal(got, deployed) {
		t.Errorf("deploy holds %v", got)
	}
	var start string
	for _, d := range unit(t, example(t, "deploy/coatcheck.service"))["Service"] {
		if d[0] == "ExecStart" {
			start = d[1]
		}
	}
	command := strings.Fields(start)
	if len(command) < 2 || command[0] != "/usr/local/bin/coatcheck" {
		t.Fatalf("ExecStart=%s", start)
	}
	var client struct {
		Servers map[string]struct {
			Command string
			Args    []string
			Env     map[string]string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal([]byte(example(t, "deploy/client.json")), &client); err != nil {
		t.Fatal(err)
	}
	server := client.Servers["coatcheck"]
	if server.Command != command[0] || len(server.Env) != 1 || !strings.HasPrefix(server.Env["COATCHECK_AGENT_KEY"], "ass_live_") {
		t.Errorf("the client starts %+v", server)
	}
	if runtime.GOOS == "windows" { // there is no socket of this kind, and serve says so
		return
	}

	run := filepath.Join(t.TempDir(), "run")
	here := strings.NewReplacer("/run/coatcheck", run, "[alice]", "[]")
	home := newHome(t)
	if err := os.WriteFile(filepath.Join(home, "config.yaml"), []byte(here.Replace(example(t, "deploy/config.yaml"))), 0o600); err != nil {
		t.Fatal(err)
	}
	var key, stderr strings.Builder
	if code := cli.Main(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &key, Err: &stderr}, []string{"agent", "add", "web"}, env(home)); code != 0 {
		t.Fatalf("agent add ended with %d\n%s", code, stderr.String())
	}
	serving(t, home, command[1:]...)
	for i, arg := range server.Args {
		server.Args[i] = here.Replace(arg)
	}
	servesWith(t, func(name string) string {
		return map[string]string{"COATCHECK_HOME": filepath.Join(run, "none"), "COATCHECK_AGENT_KEY": strings.TrimSpace(key.String())}[name]
	}, server.Args...)
	if _, err := os.Stat(filepath.Join(run, "none")); err == nil {
		t.Error("the client made a home")
	}
}

// serving starts a desk that serves until the test ends, and returns once it does.
func serving(t *testing.T, home string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	saidRead, saidWrite := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer saidWrite.Close() //nolint:errcheck // a pipe in memory
		done <- cli.Main(ctx, cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: saidWrite}, args, env(home))
	}()
	said := bufio.NewScanner(saidRead)
	var all []string
	for said.Scan() && !strings.Contains(said.Text(), "unix://") {
		all = append(all, said.Text())
	}
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("coatcheck %s ended with %d\n%s", strings.Join(args, " "), code, strings.Join(all, "\n"))
		}
	})
	go func() { _, _ = io.Copy(io.Discard, saidRead) }() // ends with the desk
}

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
