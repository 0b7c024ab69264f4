// A program in a box: one call of the AI SDK. Arguments: provider, call. Prints the text it got.
import { anthropic } from "@ai-sdk/anthropic";
import { openai } from "@ai-sdk/openai";
import { generateText, jsonSchema, streamText, tool } from "ai";

const [, , provider, call] = process.argv;
const request = { model: { openai: openai("gpt-5"), anthropic: anthropic("claude-sonnet-5") }[provider], prompt: "hi" };
const inputSchema = jsonSchema({ type: "object", properties: { city: { type: "string" } } });
const calls = {
  plain: async () => (await generateText(request)).text,
  stream: async () => {
    let text = "";
    let failure;
    const onError = ({ error }) => {
      failure = error;
    };
    for await (const chunk of streamText({ ...request, onError }).textStream) text += chunk;
    if (failure) throw failure;
    return text;
  },
  tools: async () => {
    const { toolCalls } = await generateText({ ...request, tools: { weather: tool({ inputSchema }) } });
    return JSON.stringify(toolCalls[0].input);
  },
  files: async () => {
    const data = Buffer.concat([Buffer.from("%PDF-1.4\n"), Buffer.alloc(99_000, "x")]);
    const file = { type: "file", data, mediaType: "application/pdf", filename: "f.pdf" };
    const content = [{ type: "text", text: "hi" }, file];
    return (await generateText({ model: request.model, messages: [{ role: "user", content }] })).text;
  },
};
console.log(await calls[call]());
