// A program in a box: the results of a batch by Node's Anthropic SDK, both ways. Prints JSON.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ maxRetries: 0 });
const response = await client.get("/v1/messages/batches/msgbatch_1/results").asResponse();
const byPath = (await response.text()).trim().split("\n");
const byAddress = [];
try {
  for await (const one of await client.messages.batches.results("msgbatch_1")) byAddress.push(one.custom_id);
} catch (error) {
  byAddress.push(`${error.constructor.name} ${error.status}`);
}
console.log(JSON.stringify({ "by path": byPath.map((line) => JSON.parse(line).custom_id), "by address": byAddress }));
