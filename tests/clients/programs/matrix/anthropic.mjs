// A program in a box: one call of Node's Anthropic SDK, named by its argument. Prints the text it got.
import Anthropic, { toFile } from "@anthropic-ai/sdk";

const client = new Anthropic();
const request = { model: "claude-sonnet-5", max_tokens: 100, messages: [{ role: "user", content: "say ping" }] };
const input_schema = { type: "object", properties: { city: { type: "string" } } };
const tool = { name: "weather", description: "tells the weather", input_schema };
const calls = {
  plain: async () => (await client.messages.create(request)).content[0].text,
  stream: async () => (await client.messages.stream(request).finalMessage()).content[0].text,
  tools: async () => JSON.stringify((await client.messages.create({ ...request, tools: [tool] })).content[0].input),
  files: async () =>
    (await client.beta.files.upload({ file: await toFile(Buffer.alloc(100_000, "x"), "f.txt") })).id,
};
console.log(await calls[process.argv[2]]());
