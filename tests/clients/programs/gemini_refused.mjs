// A program in a box: what Node's @google/genai makes of a refusal, with and without a stream.
import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({});
const request = { model: "gemini-2.5-flash", contents: "hi" };
const found = [];
for (const call of ["generateContent", "generateContentStream"]) {
  try {
    await client.models[call](request);
    found.push({ error: "none" });
  } catch (error) {
    found.push({ error: error.constructor.name, status: error.status, message: error.message });
  }
}
console.log(JSON.stringify(found));
