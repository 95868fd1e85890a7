// LangChain: node langchain.mjs TASK [URL]
//
// Without a URL it starts coatcheck over stdio; with one (…/mcp, or …/sse) it
// calls a desk that is served there, with the agent key in COATCHECK_AGENT_KEY.
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent } from "langchain";

const [task, url] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${process.env.COATCHECK_AGENT_KEY}` };

const desk = new MultiServerMCPClient({
  coatcheck: url
    ? { transport: url.endsWith("/sse") ? "sse" : "http", url, headers }
    : { transport: "stdio", command: "coatcheck", args: ["mcp"] },
});
const agent = createAgent({
  model: new ChatOpenAI({ model: "gpt-5" }),
  tools: await desk.getTools(),
});
const { messages } = await agent.invoke({ messages: [{ role: "user", content: task }] });
console.log(messages.at(-1).content);
await desk.close();
