// Calls one published client as the test says:
//
//   node drive.mjs sdk '{"baseUrl":"http://…","agentKey":"…"}'
//   node drive.mjs mcp '{"ASS_API_URL":"http://…","ASS_AGENT_KEY":"…"}'
//
// A line in is a call, {"method":"getSecret","args":["app/key"]}; a line out is what came of it: {"result":…}, or
// {"error":…} with the names of the exported classes that the error is an instance of.
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import * as mcpTypes from "@modelcontextprotocol/sdk/types.js";
// By its path: what the package names as its entry for import, dist/index.mjs, is not in it.
import * as sdk from "./node_modules/@agentsecretstore/sdk/dist/index.js";

const makers = {
  sdk: async (options) => new sdk.AgentVault(options),
  mcp: async (env) => {
    const client = new Client({ name: "drive", version: "1" });
    const args = ["node_modules/@agentsecretstore/mcp/bin/run.js"];
    await client.connect(new StdioClientTransport({ command: process.execPath, args, env }));
    return client;
  },
};

const classes = Object.entries({ ...sdk, McpError: mcpTypes.McpError }).filter(([, value]) => typeof value === "function");

function told(error) {
  const { name, message, code, status, retryAfter, approvalId } = error;
  const is = classes.filter(([, type]) => error instanceof type).map(([className]) => className);
  return { is, name, message, code, status, retryAfter, approvalId };
}

const [which, options] = process.argv.slice(2);
const client = await makers[which](JSON.parse(options));
for await (const line of createInterface({ input: process.stdin })) {
  const { method, args } = JSON.parse(line);
  let outcome;
  try {
    outcome = { result: (await client[method](...args)) ?? null };
  } catch (error) {
    outcome = { error: told(error) };
  }
  process.stdout.write(JSON.stringify(outcome) + "\n");
}
await client.close?.();
