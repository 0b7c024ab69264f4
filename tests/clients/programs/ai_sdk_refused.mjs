// A program in a box: what the AI SDK makes of a refusal by either provider.
import { anthropic } from "@ai-sdk/anthropic";
import { openai } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";

const found = {};
for (const [name, model] of Object.entries({ openai: openai("gpt-5"), anthropic: anthropic("claude-sonnet-5") })) {
  const errors = [];
  await generateText({ model, prompt: "hi" }).catch((error) => errors.push(error));
  await streamText({ model, prompt: "hi", onError: ({ error }) => errors.push(error) }).consumeStream();
  found[name] = errors.map(({ message, statusCode, isRetryable }) => ({ message, statusCode, isRetryable }));
}
console.log(JSON.stringify(found));
