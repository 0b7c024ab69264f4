// A program in a box: opens a realtime session as a web page would, with its key among the subprotocols.
import WebSocket from "ws";

const url = `${process.env.OPENAI_BASE_URL.replace("http:", "ws:")}realtime?model=gpt-realtime`;
const key = process.env.LEFT_IN_A_BOX;
const socket = new WebSocket(url, [
  "realtime",
  `openai-insecure-api-key.${key}`,
  "openai-organization.org-of-the-box",
  "openai-project.project-of-the-box",
]);
socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.on("message", (text) => {
  console.log(JSON.stringify({ type: JSON.parse(text).type, protocol: socket.protocol }));
  socket.close(1000);
});
