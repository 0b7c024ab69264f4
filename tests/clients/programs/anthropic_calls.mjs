// A program in a box: Node's Anthropic SDK, set up by its environment alone. Prints what it got as JSON.
import Anthropic, { toFile } from "@anthropic-ai/sdk";

const client = new Anthropic();
const request = { model: "claude-sonnet-5", max_tokens: 100, messages: [{ role: "user", content: "say ping" }] };

const { data: plain, response: head } = await client.messages.create(request).withResponse();
const chunks = [];
const stream = client.messages.stream(request).on("text", (text) => chunks.push(text));
const streamed = await stream.finalMessage();
const counted = await client.messages.countTokens({ model: request.model, messages: request.messages });
const file = await client.beta.files.upload({ file: await toFile(Buffer.alloc(3_000_000, "x"), "f.txt") });
const models = [];
for await (const model of client.models.list()) models.push(model.id);

console.log(
  JSON.stringify({
    plain: plain.content[0].text,
    request_id: plain._request_id,
    rate: head.headers.get("anthropic-ratelimit-requests-remaining"),
    chunks,
    streamed: streamed.content[0].text,
    tokens: counted.input_tokens,
    uploaded: file.size_bytes > 3_000_000,
    models,
  }),
);
