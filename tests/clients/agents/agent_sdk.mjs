// A program in a box: one question to the Claude Agent SDK. Prints the result it got.
import { query } from "@anthropic-ai/claude-agent-sdk";

for await (const message of query({ prompt: "say ping", options: { maxTurns: 4, allowedTools: ["Bash", "Read"] } })) {
  if (message.type === "result") console.log(message.result ?? JSON.stringify(message));
}
