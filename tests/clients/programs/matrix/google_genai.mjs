// A program in a box: one call of Node's @google/genai, named by its argument. Prints the text it got.
import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({});
const request = { model: "gemini-2.5-flash", contents: "say ping" };
const parametersJsonSchema = { type: "object", properties: { city: { type: "string" } } };
const tools = [{ functionDeclarations: [{ name: "weather", parametersJsonSchema }] }];
const calls = {
  plain: async () => (await client.models.generateContent(request)).text,
  stream: async () => {
    let text = "";
    for await (const part of await client.models.generateContentStream(request)) text += part.text ?? "";
    return text;
  },
  tools: async () =>
    JSON.stringify((await client.models.generateContent({ ...request, config: { tools } })).functionCalls[0].args),
  files: async () => {
    const file = new Blob([Buffer.alloc(100_000, "x")]);
    return (await client.files.upload({ file, config: { mimeType: "text/plain" } })).name;
  },
  websocket: async () => {
    let text = "";
    let ended;
    const answered = new Promise((resolve, reject) => {
      ended = { resolve, reject };
    });
    const onmessage = ({ serverContent }) => {
      for (const part of serverContent?.modelTurn?.parts ?? []) text += part.text ?? "";
      if (serverContent?.turnComplete) ended.resolve(text);
    };
    const callbacks = { onmessage, onerror: ended.reject, onclose: ended.reject };
    const config = { responseModalities: ["TEXT"] };
    const session = await client.live.connect({ model: request.model, config, callbacks });
    session.sendClientContent({ turns: "say ping" });
    await answered;
    session.close();
    return text;
  },
};
console.log(await calls[process.argv[2]]());
