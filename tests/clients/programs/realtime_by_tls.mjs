// A program in a box: Node's Realtime class, which dials wss: whatever the base URL says. Prints JSON.
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const realtime = new OpenAIRealtimeWS({ model: "gpt-realtime" }, new OpenAI());
realtime.on("error", (error) => {
  console.log(JSON.stringify({ scheme: realtime.url.protocol, code: error.cause?.code ?? "none" }));
  process.exit(0);
});
