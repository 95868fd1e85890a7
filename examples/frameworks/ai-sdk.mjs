// AI SDK: node ai-sdk.mjs TASK [URL]
//
// Without a URL it starts coatcheck over stdio; with one (…/mcp, or …/sse) it
// calls a desk that is served there, with the agent key in COATCHECK_AGENT_KEY.
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as Stdio } from "@ai-sdk/mcp/mcp-stdio";
import { openai } from "@ai-sdk/openai";
import { generateText, isStepCount } from "ai";

const [task, url] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${process.env.COATCHECK_AGENT_KEY}` };

const desk = await createMCPClient({
  transport: url
    ? { type: url.endsWith("/sse") ? "sse" : "http", url, headers }
    : new Stdio({ command: "coatcheck", args: ["mcp"] }),
});
const { text } = await generateText({
  model: openai("gpt-5"),
  tools: await desk.tools(),
  stopWhen: isStepCount(10),
  prompt: task,
});
console.log(text);
await desk.close();
