// A program in a box: what Node's SDKs make of streams that break off. Prints JSON.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const messages = [{ role: "user", content: "hi" }];
const streams = {
  openai: () => new OpenAI({ maxRetries: 0 }).responses.create({ model: "gpt-5", input: "hi", stream: true }),
  anthropic: () =>
    new Anthropic({ maxRetries: 0 }).messages.create({ model: "claude-sonnet-5", max_tokens: 9, messages, stream: true }),
};
const found = {};
for (const [name, open] of Object.entries(streams)) {
  let events = 0;
  try {
    for await (const _ of await open()) events += 1;
    found[name] = { events, ended: "as if it were whole" };
  } catch (error) {
    found[name] = { events, ended: "by an error" };
  }
}
console.log(JSON.stringify(found));
