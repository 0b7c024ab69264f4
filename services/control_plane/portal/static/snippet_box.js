// "Use it in a box": the lines of one provider, in tabs, each with a button that copies it.

import { h } from "./dom.js";
import { copyButton, tabs } from "./fields.js";
import { PROVIDERS } from "./providers.js";

/** Build the part of a card that shows how programs use it; `news` stands above the lines. @param {string} provider @param {HTMLElement} news */
export function snippetBox(provider, news) {
  const { title, snippets } = PROVIDERS[provider];
  const entries = snippets.map((snippet) => ({
    title: snippet.title,
    panel: h(
      "div",
      { class: "snippet" },
      h(
        "div",
        { class: "snippet-head" },
        h("p", { class: "fine" }, snippet.note),
        copyButton(`the ${snippet.title} lines`, () => snippet.code),
      ),
      h("pre", { tabindex: "0", "aria-label": `${snippet.title} lines for ${title}` }, h("code", {}, snippet.code)),
    ),
  }));
  return h("details", { class: "fold" }, h("summary", {}, "Use it in a box"), h("div", {}, news, tabs(`Ways to use ${title}`, entries)));
}
