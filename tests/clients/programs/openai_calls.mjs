// A program in a box: Node's openai SDK, set up by its environment alone. Prints what it got as JSON.
import OpenAI, { toFile } from "openai";

const client = new OpenAI();
const messages = [{ role: "user", content: "say ping" }];

const { data: plain, response: head } = await client.chat.completions
  .create({ model: "gpt-5", messages })
  .withResponse();
const chunks = [];
for await (const chunk of await client.chat.completions.create({ model: "gpt-5", messages, stream: true })) {
  chunks.push(chunk.choices[0].delta.content ?? "");
}
const deltas = [];
for await (const event of await client.responses.create({ model: "gpt-5", input: "say ping", stream: true })) {
  if (event.type === "response.output_text.delta") deltas.push(event.delta);
}
const response = await client.responses.create({ model: "gpt-5", input: "say ping" });
const embedding = await client.embeddings.create({ model: "e", input: "x" });
const file = await client.files.create({
  file: await toFile(Buffer.alloc(3_000_000, "x"), "f.jsonl"),
  purpose: "batch",
});
const models = [];
for await (const model of client.models.list()) models.push(model.id);

console.log(
  JSON.stringify({
    plain: plain.choices[0].message.content,
    request_id: plain._request_id,
    rate: head.headers.get("x-ratelimit-remaining-requests"),
    chunks,
    deltas,
    response: response.output_text,
    embedding: embedding.data[0].embedding,
    uploaded: file.bytes > 3_000_000,
    models,
  }),
);
