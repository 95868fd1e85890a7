// The official client over each road: node story.mjs API COMMAND|URL [ARGUMENT...]
//
// Starts COMMAND as a server, or calls the one at URL (…/sse, or …/mcp) with the
// key in COATCHECK_AGENT_KEY. Asks it for a handle for production/echo/api-key
// and sends a request with the handle to API. Prints one JSON object: what each
// step gave, and under "wire" every message in both directions, which is all
// that a model could ever come to see.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [api, server, ...args] = process.argv.slice(2);
const wire = [];

const recorded = (Transport) =>
  class extends Transport {
    async start() {
      const receive = this.onmessage;
      this.onmessage = (message, extra) => {
        wire.push({ from: "server", message });
        receive?.(message, extra);
      };
      await super.start();
    }
    async send(message, options) {
      wire.push({ from: "client", message });
      await super.send(message, options);
    }
  };

function road() {
  if (!server.startsWith("http")) {
    return new (recorded(StdioClientTransport))({ command: server, args, env: process.env, stderr: "inherit" });
  }
  const Transport = server.endsWith("/sse") ? SSEClientTransport : StreamableHTTPClientTransport;
  const headers = { Authorization: `Bearer ${process.env.COATCHECK_AGENT_KEY}` };
  return new (recorded(Transport))(new URL(server), { requestInit: { headers } });
}

const client = new Client({ name: "coatcheck-story", version: "1.0.0" });
await client.connect(road());

const { tools } = await client.listTools();
const path = "production/echo/api-key";
const secret = await client.callTool({ name: "get_secret", arguments: { path } });
const handle = secret.structuredContent?.handle;
const request = (where) =>
  client.callTool({
    name: "http_request",
    arguments: {
      method: "POST",
      url: where,
      headers: { Authorization: `Bearer ${handle}`, "Content-Type": "application/json" },
      body: JSON.stringify({ question: "is the coat here?" }),
    },
  });
const answer = await request(api);
const elsewhere = await request(api.replace("127.0.0.1", "localhost"));
const listed = await client.callTool({ name: "list_secrets", arguments: {} });

await client.close();
console.log(
  JSON.stringify({
    server: client.getServerVersion(),
    tools: tools.map((tool) => tool.name),
    secret,
    answer,
    elsewhere,
    listed,
    wire,
  }),
);
