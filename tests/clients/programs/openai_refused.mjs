// A program in a box: what Node's openai SDK makes of a refusal, with and without a stream.
import OpenAI from "openai";

const client = new OpenAI();
const found = [];
for (const stream of [false, true]) {
  try {
    await client.chat.completions.create({ model: "gpt-5", messages: [{ role: "user", content: "hi" }], stream });
    found.push({ error: "none" });
  } catch (error) {
    const { status, code, type } = error;
    const source = error.headers.get("x-run9-error-source");
    found.push({ error: error.constructor.name, message: error.error.message, status, code, type, source });
  }
}
console.log(JSON.stringify(found));
