// One provider's card for a member: everything but the means to change it.

import { h, newId, say } from "./dom.js";
import { requestTarget } from "./endpoint_rules.js";
import { copyButton, row } from "./fields.js";
import { PROVIDERS } from "./providers.js";
import { orgPath, rest } from "./rest.js";
import { snippetBox } from "./snippet_box.js";
import { rollout, savedKey, status } from "./words.js";

/** Build the card. */
export function readOnlyCard(org, me, saved) {
  const { title, about } = PROVIDERS[saved.provider];
  const id = newId("card");
  const chip = h("span", { class: "chip" });
  const told = h("p", { class: "told", role: "status" });
  show(chip, status(saved, null));
  if (saved.state !== "not_set_up") loadTraffic(org, saved, chip, told);
  return h(
    "section",
    { class: "card", "aria-labelledby": id, "data-provider": saved.provider },
    h("header", { class: "card-head" }, h("div", {}, h("h2", { id }, title), h("p", { class: "fine" }, about)), chip),
    h("div", { class: "rows" }, ...rows(org, me, saved), told),
    snippetBox(saved.provider, saved.local_base_url),
  );
}

function rows(org, me, saved) {
  const isSetUp = saved.state !== "not_set_up";
  const key = isSetUp
    ? h("span", { class: "saved-key" }, h("span", {}, "ends ", h("code", {}, `…${saved.key.last4}`)), h("span", { class: "fine" }, savedKey(saved.key, me)))
    : "None yet";
  return [
    row("Enabled", saved.state === "enabled" ? `Yes, boxes of ${org.name} can use it` : "No"),
    row("Upstream API Key", key),
    row("Requests go to", h("code", { class: "base-url" }, requestTarget(saved.provider, saved.endpoint))),
    row(
      "Local Base URL",
      h("div", { class: "line" }, h("code", { class: "base-url" }, saved.local_base_url), copyButton(`the base URL of ${PROVIDERS[saved.provider].title}`, () => saved.local_base_url)),
    ),
  ];
}

async function loadTraffic(org, saved, chip, told) {
  try {
    const { data } = await rest("GET", `${orgPath(org.org)}/ai-integrations/${saved.provider}/rollout`);
    show(chip, status(saved, data.traffic));
    say(told, rollout(data));
    told.dataset.live = data.total > 0 && data.live >= data.total ? "all" : "some";
  } catch {
    say(told, "");
  }
}

function show(chip, { tone, text, title }) {
  say(chip, text);
  chip.dataset.tone = tone;
  chip.title = title;
}
