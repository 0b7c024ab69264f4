// A program in a box: one question to the Claude Agent SDK. Prints the result it got.
import { query } from "@anthropic-ai/claude-agent-sdk";

for await (const message of query({ prompt: "say ping", options: { maxTurns: 3, allowedTools: ["Bash"] } })) {
  if (message.type === "result") console.log(message.result ?? JSON.stringify(message));
}
