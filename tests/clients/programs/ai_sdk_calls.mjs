// A program in a box: the AI SDK with both providers, set up by its environment alone. Prints JSON.
import { anthropic } from "@ai-sdk/anthropic";
import { openai } from "@ai-sdk/openai";
import { embed, generateText, streamText } from "ai";

async function told(model) {
  const plain = await generateText({ model, prompt: "say ping" });
  const chunks = [];
  for await (const chunk of streamText({ model, prompt: "say ping" }).textStream) chunks.push(chunk);
  return { plain: plain.text, chunks };
}

const { embedding } = await embed({ model: openai.embedding("text-embedding-3-small"), value: "x" });
console.log(
  JSON.stringify({
    responses: await told(openai("gpt-5")),
    chat: await told(openai.chat("gpt-5")),
    anthropic: await told(anthropic("claude-sonnet-5")),
    embedding,
  }),
);
