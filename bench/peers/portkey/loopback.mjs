// Portkey's gateway takes a port and no address, and would serve the whole network: loaded before it, this keeps it here.
import { Server } from "node:net";

const { listen } = Server.prototype;
Server.prototype.listen = function (port, host, ...rest) {
  return typeof port === "number" ? listen.call(this, port, host ?? "127.0.0.1", ...rest) : listen.call(this, port, host, ...rest);
};
