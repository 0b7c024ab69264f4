// Lines to paste into a box, per provider. Inside a box they are the same for every organization.

import { PLACEHOLDER } from "./providers.js";

/** Give [{id, title, note, code}] for a provider and its local base URL. @param {string} provider @param {string} baseUrl */
export function snippets(provider, baseUrl) {
  const origin = new URL(baseUrl).origin;
  const setup = {
    id: "setup",
    title: "Everything",
    note: "Sets this box up for every known client, for this shell and later ones.",
    code: `eval "$(curl -fsS ${origin}/run9/ai/setup.sh)"`,
  };
  return provider === "openai" ? [...openai(baseUrl), setup] : [...anthropic(baseUrl), setup];
}

/** @param {string} baseUrl */
function openai(baseUrl) {
  return [
    {
      id: "shell",
      title: "Shell",
      note: "The placeholder is thrown away; the gateway puts the real key in.",
      code: `export OPENAI_BASE_URL=${baseUrl}
export OPENAI_API_KEY=${PLACEHOLDER}`,
    },
    {
      id: "curl",
      title: "curl",
      note: "Streams an answer.",
      code: `curl -N ${baseUrl}responses \\
  -H 'content-type: application/json' \\
  -d '{"model": "gpt-5.2", "input": "Hello!", "stream": true}'`,
    },
    {
      id: "python",
      title: "Python",
      note: "With the shell lines set, the official SDK needs nothing more.",
      code: `from openai import OpenAI

client = OpenAI()
for event in client.responses.create(model="gpt-5.2", input="Hello!", stream=True):
    print(event.type)`,
    },
    {
      id: "node",
      title: "Node",
      note: "With the shell lines set, the official SDK needs nothing more.",
      code: `import OpenAI from "openai";

const client = new OpenAI();
const stream = await client.responses.create({ model: "gpt-5.2", input: "Hello!", stream: true });
for await (const event of stream) console.log(event.type);`,
    },
    {
      id: "codex",
      title: "Codex",
      note: "At the top of ~/.codex/config.toml: Codex does not read OPENAI_BASE_URL.",
      code: `openai_base_url = "${baseUrl.replace(/\/$/, "")}"`,
    },
  ];
}

/** @param {string} baseUrl */
function anthropic(baseUrl) {
  const body = `{"model": "claude-opus-4-6", "max_tokens": 1024, "stream": true,
       "messages": [{"role": "user", "content": "Hello!"}]}`;
  return [
    {
      id: "shell",
      title: "Shell",
      note: "The placeholder is thrown away; the gateway puts the real key in.",
      code: `export ANTHROPIC_BASE_URL=${baseUrl}
export ANTHROPIC_AUTH_TOKEN=${PLACEHOLDER}`,
    },
    {
      id: "claude-code",
      title: "Claude Code",
      note: "Without the last one it puts every tool's schema into each request.",
      code: `export ANTHROPIC_BASE_URL=${baseUrl}
export ANTHROPIC_AUTH_TOKEN=${PLACEHOLDER}
export ENABLE_TOOL_SEARCH=true
claude`,
    },
    {
      id: "curl",
      title: "curl",
      note: "Streams an answer.",
      code: `curl -N ${baseUrl}/v1/messages \\
  -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \\
  -d '${body}'`,
    },
    {
      id: "python",
      title: "Python",
      note: "With the shell lines set, the official SDK needs nothing more.",
      code: `from anthropic import Anthropic

client = Anthropic()
message = {"role": "user", "content": "Hello!"}
with client.messages.stream(model="claude-opus-4-6", max_tokens=1024, messages=[message]) as stream:
    for text in stream.text_stream:
        print(text, end="")`,
    },
    {
      id: "node",
      title: "Node",
      note: "With the shell lines set, the official SDK needs nothing more.",
      code: `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const messages = [{ role: "user", content: "Hello!" }];
const stream = client.messages.stream({ model: "claude-opus-4-6", max_tokens: 1024, messages });
stream.on("text", (text) => process.stdout.write(text));
await stream.finalMessage();`,
    },
  ];
}
