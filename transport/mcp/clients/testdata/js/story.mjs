// The official client over stdio: node story.mjs URL COMMAND [ARGUMENT...]
//
// Starts COMMAND as a server, asks it for a handle for production/echo/api-key
// and sends a request with the handle to URL. Prints one JSON object: what each
// step gave, and under "wire" every message in both directions, which is all
// that a model could ever come to see.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [url, command, ...args] = process.argv.slice(2);
const wire = [];

class Recorded extends StdioClientTransport {
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
}

const client = new Client({ name: "coatcheck-story", version: "1.0.0" });
const transport = new Recorded({ command, args, env: process.env, stderr: "inherit" });
await client.connect(transport);

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
const answer = await request(url);
const elsewhere = await request(url.replace("127.0.0.1", "localhost"));
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
