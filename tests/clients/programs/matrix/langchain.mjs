// A program in a box: one call of LangChain.js. Arguments: provider, call. Prints the text it got.
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI } from "@langchain/openai";

const [, , provider, call] = process.argv;
const model =
  provider === "openai" ? new ChatOpenAI({ model: "gpt-5" }) : new ChatAnthropic({ model: "claude-sonnet-5" });
const schema = { type: "object", properties: { city: { type: "string" } } };
const calls = {
  plain: async () => (await model.invoke("say ping")).text,
  stream: async () => {
    let text = "";
    for await (const chunk of await model.stream("say ping")) text += chunk.text;
    return text;
  },
  tools: async () => {
    const bound = model.bindTools([{ name: "weather", description: "tells the weather", schema }]);
    return JSON.stringify((await bound.invoke("say ping")).tool_calls[0].args);
  },
  files: async () => {
    const data = Buffer.concat([Buffer.from("%PDF-1.4\n"), Buffer.alloc(99_000, "x")]).toString("base64");
    const metadata = { filename: "f.pdf" };
    const file = { type: "file", source_type: "base64", mime_type: "application/pdf", data, metadata };
    return (await model.invoke([{ role: "user", content: [{ type: "text", text: "say ping" }, file] }])).text;
  },
};
console.log(await calls[call]());
