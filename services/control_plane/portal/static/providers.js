// What differs between the providers, as the pages need it. A test holds it to shared/providers.py.

/** @import {Provider} from "./types.d.ts" */

export const PLACEHOLDER = "run9-placeholder";

/** @type {Record<string, Provider>} */
export const PROVIDERS = {
  openai: {
    name: "openai",
    title: "OpenAI",
    company: "OpenAI",
    defaultEndpoint: "https://api.openai.com/v1",
    versionSegment: "",
    examplePath: "/responses",
    keyPage: "https://platform.openai.com/api-keys",
    keyStart: "sk-",
    about: "Responses, chat, images, audio and every other route of the OpenAI API; also Codex.",
  },
  anthropic: {
    name: "anthropic",
    title: "Anthropic / Claude Code",
    company: "Anthropic",
    defaultEndpoint: "https://api.anthropic.com",
    versionSegment: "/v1",
    examplePath: "/messages",
    keyPage: "https://console.anthropic.com/settings/keys",
    keyStart: "sk-ant-",
    about: "Messages and every other route of the Anthropic API; also Claude Code, with an API key or a setup token.",
  },
};
