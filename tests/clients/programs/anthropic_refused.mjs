// A program in a box: what Node's Anthropic SDK makes of a refusal, with and without a stream.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const found = [];
for (const stream of [false, true]) {
  try {
    const messages = [{ role: "user", content: "hi" }];
    await client.messages.create({ model: "claude-sonnet-5", max_tokens: 10, messages, stream });
    found.push({ error: "none" });
  } catch (error) {
    const { message, type } = error.error.error;
    const source = error.headers.get("x-run9-error-source");
    found.push({ error: error.constructor.name, message, status: error.status, type, source });
  }
}
console.log(JSON.stringify(found));
