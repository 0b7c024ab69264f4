// A program in a box: Node's openai SDK speaks to the responses API over a WebSocket. Prints JSON.
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";

const socket = new ResponsesWS(new OpenAI());
const deltas = [];
socket.on("event", (event) => {
  if (event.type === "response.output_text.delta") deltas.push(event.delta);
  if (event.type === "response.completed") {
    console.log(JSON.stringify({ deltas }));
    socket.close();
  }
});
socket.on("error", (error) => {
  console.error(String(error));
  process.exit(1);
});
socket.send({ type: "response.create", model: "gpt-5", input: "say ping" });
