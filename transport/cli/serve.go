package cli

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	var insecure bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve agents over Streamable HTTP, SSE and REST", Args: nothing,
		Long: "Listens (by default on 127.0.0.1:7420) and serves MCP to agents with a key from 'coatcheck agent\n" +
			"add': Streamable HTTP at /mcp, and for older clients SSE at /sse (with /messages). Programs have\n" +
			"REST below /v1, as far as a rule has doors: [rest]; /v1/openapi.json describes it. The webhooks in\n" +
			"config.yaml are told of approvals and rotations, in whichever process they happen. On SIGINT and\n" +
			"SIGTERM it answers the calls under way and ends. Beyond loopback it needs TLS: tls_cert and\n" +
			"tls_key in config.yaml. With socket and socket_users there it also serves agents of other users\n" +
			"of this machine, who then cannot read the home; see examples/deploy.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			h, err := a.ready(ctx, true)
			if err != nil {
				return err
			}
			c, err := h.readConfig()
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
			}
			d, err := a.openStrict(ctx, h)
			if err != nil {
				return err
			}
			return d.finish(ctx, a.serve(ctx, d, c, insecure))
		},
	}
	a.vaultFlag(cmd)
	cmd.Flags().BoolVar(&insecure, "insecure-listen", false, "listen beyond loopback without TLS: something in front must end it")
	cmd.Flags().StringVar(&listen, "listen", "", "address and port, port 0 for any free one, or none (default from config.yaml: 127.0.0.1:7420)")
	return cmd
}

func (a *app) mcpCommand() *cobra.Command {
	var agent, server string
	cmd := &cobra.Command{
		Use: "mcp", Short: "Serve one MCP client over standard input and output", Args: nothing,
		Long: "Speaks MCP on standard input and output; this is what clients start (see 'coatcheck connect').\n" +
			"Acts as the agent local, as the agent named by --agent, or as the one whose key is in\n" +
			"COATCHECK_AGENT_KEY or ASS_AGENT_KEY.\n\n" +
			"With --server it opens no home and carries the client's messages to a desk that runs elsewhere,\n" +
			"as the agent whose key is in COATCHECK_AGENT_KEY: over HTTPS, or over a unix socket to a desk of\n" +
			"another user of this machine, whose home the client's programs then cannot read.",
		Example: "  coatcheck mcp --agent cursor\n  coatcheck mcp --server unix:///run/coatcheck/desk.sock\n" +
			"  coatcheck mcp --server https://desk.example.com:7420",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if cmd.Flags().Changed("server") {
				if cmd.Flags().Changed("vault") {
					return usage("--server and --vault exclude each other: a desk knows itself where its secrets are")
				}
				if cmd.Flags().Changed("agent") {
					return usage("--server and --agent exclude each other: at a desk the key says which agent it is")
				}
				return a.bridge(ctx, server)
			}
			a.unattended = true
			h, err := a.ready(ctx, true)
			if err != nil {
				return err
			}
			d, err := a.openStrict(ctx, h)
			if err != nil {
				return err
			}
			who, err := a.stdioPrincipal(ctx, d, agent)
			if err == nil {
				err = d.server().ServeStdio(ctx, who, a.In, a.Out)
			}
			return d.finish(ctx, err)
		},
	}
	a.vaultFlag(cmd)
	cmd.Flags().StringVar(&agent, "agent", "", "act as an agent registered with 'agent add NAME --stdio'")
	cmd.Flags().StringVar(&server, "server", "", "carry everything to the desk at `URL`: https://HOST[:PORT] or unix:///PATH/TO/SOCKET")
	return cmd
}

// stdioPrincipal says who the process on the other end is: the key in the
// environment may be an agent's or a token.
func (a *app) stdioPrincipal(ctx context.Context, d *desk, agent string) (who identity.Principal, err error) {
	key := a.agentKey()
	switch {
	case agent != "" && key != "":
		return who, usage("--agent and an agent key in the environment exclude each other")
	case agent == "" && key == "":
		return identity.LocalStdio(), nil
	}
	err = d.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		if key != "" {
			who, err = d.agents.ByCredential(tx, key, "", d.clock.Now())
		} else {
			who, err = d.agents.ByName(tx, agent)
		}
		return err
	})
	if err == nil && who.Kind == identity.Admin { // an agent acts here, and an admin's key has no business in its configuration
		err = identity.ErrUnauthenticated
	}
	if err != nil {
		return identity.Principal{}, err
	}
	who.Stdio, who.Door = true, identity.LocalStdio().Door
	return who, nil
}

// server offers every tool over MCP.
func (d *desk) server() *mcp.Server {
	return mcp.NewServer(tools.All(d.Broker), &mcp.Options{Version: versionText(), Log: d.log})
}

var errNoPolicy = errors.New("no policy is in force")

// canWork tells whether agents can be served: the database answers as it does
// to one that shows its key, and there are rules.
func (d *desk) canWork(ctx context.Context) error {
	if d.rules.Current() == nil {
		return errNoPolicy
	}
	err := d.db.View(ctx, func(tx *sqldb.Tx) error {
		_, err := d.agents.ByCredential(tx, "nobody's", "", d.clock.Now())
		return err
	})
	if errors.Is(err, identity.ErrUnauthenticated) {
		return nil
	}
	return err
}

// serve listens until ctx ends, and then lets calls in flight finish.
func (a *app) serve(ctx context.Context, d *desk, c config, insecure bool) error {
	users, err := uidsOf(c.SocketUsers)
	if err != nil {
		return codedError{err, exitPolicy, "Check socket_users in " + d.home.config() + "."}
	}
	bounds, err := c.Limits.httpd()
	if err != nil {
		return codedError{err, exitPolicy, "Check limits in " + d.home.config() + "."}
	}
	proxies, err := networksOf("trusted_proxies", c.TrustedProxies)
	if err != nil {
		return codedError{err, exitPolicy, "Check trusted_proxies in " + d.home.config() + "."}
	}
	sender, err := d.sender(ctx, c)
	if err != nil {
		return err
	}
	offered := d.server()
	caller := func(r *http.Request) (identity.Principal, bool) { return httpd.PrincipalFrom(r.Context()) }
	server, err := httpd.New(httpd.Config{ //nolint:contextcheck // binding a port does not wait
		Listen: c.Listen, CertFile: c.TLSCert, KeyFile: c.TLSKey, InsecureListen: insecure,
		Socket: c.Socket, SocketUsers: users, Private: a.private(d.home), Program: program(),
		AllowHosts: c.AllowHosts, AllowOrigins: c.AllowOrigins, TrustedProxies: proxies, Version: versionText(), Log: d.log,
		Limits: bounds,
		Authenticate: func(ctx context.Context, key, addr string) (who identity.Principal, err error) {
			err = d.db.View(ctx, func(tx *sqldb.Tx) error {
				who, err = d.agents.ByCredential(tx, key, addr, d.clock.Now())
				return err
			})
			if err == nil {
				d.Seen(who)
			}
			return who, err
		},
		Alive: d.Alive,
		Ready: d.canWork,
		MCP:   offered.HTTPHandler(caller),
		REST:  rest.New(d.Broker, caller, &rest.Options{Version: versionText(), Log: d.log}), RESTOpen: rest.OpenPaths(), RESTProves: rest.Proves,
		SSE: offered.SSEHandler(caller, func(r *http.Request) <-chan struct{} { return httpd.Stopping(r.Context()) }),
	})
	var network *net.OpError // a port in use and the like
	if code, _ := judge(err); code == exitFailed && !errors.As(err, &network) {
		return codedError{err, exitPolicy, "Check --listen and " + d.home.config() + "."}
	}
	if err != nil {
		return socketFault(c.Socket, err)
	}
	a.note("Home %s", d.home)
	if url := server.URL(); url != "" {
		a.note("MCP at %[1]s/mcp (Streamable HTTP) and %[1]s/sse, with a key from: coatcheck agent add NAME", url)
	}
	if c.Socket != "" {
		a.note("MCP for users of this machine: coatcheck mcp --server unix://%s, with such a key too", c.Socket)
	} else {
		a.note("A client on this machine needs no server: coatcheck connect")
	}
	defer d.beside(ctx, sender)()
	return server.Serve(ctx)
}
