// A program in a box: one call of Node's openai SDK, named by its argument. Prints the text it got.
import OpenAI, { toFile } from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";

const client = new OpenAI();
const request = { model: "gpt-5", input: "say ping" };
const parameters = { type: "object", properties: { city: { type: "string" } } };
const tool = { type: "function", name: "weather", description: "tells the weather", strict: false, parameters };
const calls = {
  plain: async () => (await client.responses.create(request)).output_text,
  stream: async () => {
    let text = "";
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    return text;
  },
  tools: async () => (await client.responses.create({ ...request, tools: [tool] })).output[0].arguments,
  files: async () =>
    (await client.files.create({ file: await toFile(Buffer.alloc(100_000, "x"), "f.jsonl"), purpose: "batch" })).id,
  websocket: () =>
    new Promise((resolve, reject) => {
      const socket = new ResponsesWS(client);
      let text = "";
      socket.on("error", reject);
      socket.on("event", (event) => {
        if (event.type === "response.output_text.delta") text += event.delta;
        if (event.type === "response.completed") resolve(text);
        if (event.type === "response.completed") socket.close();
      });
      socket.send({ type: "response.create", ...request });
    }),
};
console.log(await calls[process.argv[2]]());
