// The official MCP client: node official.mjs SECRET API [URL]
//
// Sends a GET to API with SECRET as its bearer token, and never sees it. Without
// a URL it starts coatcheck over stdio; with one (…/mcp, or …/sse) it calls a
// desk that is served there, with the agent key in COATCHECK_AGENT_KEY.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [path, api, url] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${process.env.COATCHECK_AGENT_KEY}` };

const Remote = url?.endsWith("/sse") ? SSEClientTransport : StreamableHTTPClientTransport;
const desk = new Client({ name: "example", version: "1.0.0" });
await desk.connect(
  url
    ? new Remote(new URL(url), { requestInit: { headers } })
    : new StdioClientTransport({ command: "coatcheck", args: ["mcp"] }),
);

const { tools } = await desk.listTools();
console.log(tools.map((tool) => tool.name).join(" "));

const { structuredContent: ticket } = await desk.callTool({ name: "get_secret", arguments: { path } });
const { structuredContent: answer } = await desk.callTool({
  name: "http_request",
  arguments: { url: api, headers: { Authorization: `Bearer ${ticket.handle}` } },
});
console.log(answer.status, answer.body);
await desk.close();
