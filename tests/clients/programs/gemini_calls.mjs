// A program in a box: Node's @google/genai, set up by its environment alone. Prints what it got as JSON.
import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({});
const model = "gemini-2.5-flash";
const contents = "say ping";

const plain = await client.models.generateContent({ model, contents });
const chunks = [];
for await (const part of await client.models.generateContentStream({ model, contents })) chunks.push(part.text);
const file = await client.files.upload({
  file: new Blob([Buffer.alloc(3_000_000, "x")]),
  config: { mimeType: "text/plain" },
});
const embedded = await client.models.embedContent({ model: "gemini-embedding-001", contents: "x" });
const models = [];
for await (const one of await client.models.list()) models.push(one.name);

console.log(
  JSON.stringify({
    plain: plain.text,
    chunks,
    uploaded: file.sizeBytes,
    embedding: embedded.embeddings[0].values,
    tokens: (await client.models.countTokens({ model, contents })).totalTokens,
    models,
  }),
);
