// OpenAI Agents SDK: node openai-agents.mjs TASK [URL]
//
// Without a URL it starts coatcheck over stdio; with one (…/mcp, or …/sse) it
// calls a desk that is served there, with the agent key in COATCHECK_AGENT_KEY.
import { Agent, MCPServerSSE, MCPServerStdio, MCPServerStreamableHttp, run } from "@openai/agents";

const [task, url] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${process.env.COATCHECK_AGENT_KEY}` };

const Remote = url?.endsWith("/sse") ? MCPServerSSE : MCPServerStreamableHttp;
const desk = url
  ? new Remote({ url, requestInit: { headers } })
  : new MCPServerStdio({ command: "coatcheck", args: ["mcp"] });
await desk.connect();

const agent = new Agent({ name: "assistant", model: "gpt-5", mcpServers: [desk] });
const { finalOutput } = await run(agent, task);
console.log(finalOutput);
await desk.close();
