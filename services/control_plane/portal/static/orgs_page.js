// My Orgs: each with the person's role, how many providers are on, and the way to its settings.

import { h } from "./dom.js";
import { heading } from "./frame.js";
import { all, orgPath, rest } from "./rest.js";
import { onCount } from "./words.js";

const AT_ONCE = 6;

/** Fill the page. */
export async function showOrgs(main, me) {
  const orgs = await all("/orgs");
  main.append(heading("My Orgs", "Each organization has its own provider keys. Its boxes share them without seeing them."));
  if (orgs.length === 0) {
    main.append(
      h(
        "div",
        { class: "empty" },
        h("h2", {}, "No organizations yet"),
        h("p", {}, `You are signed in as ${me}. Ask the owner of an organization to add this address, then reload the page.`),
      ),
    );
    return;
  }
  const rows = orgs.map(row);
  main.append(h("ul", { class: "orgs" }, rows.map(([element]) => element)));
  await fill(rows.map(([, load]) => load));
}

function row(org) {
  const state = h("span", { class: "org-state" }, "…");
  const settings = `/orgs/${encodeURIComponent(org.org)}/ai-integrations`;
  const element = h(
    "li",
    { class: "org" },
    h("div", { class: "org-title" }, h("h2", {}, org.name), h("span", { class: "org-id" }, org.org)),
    h("span", { class: `role ${org.role}` }, org.role === "owner" ? "Owner" : "Member"),
    state,
    h("a", { class: "button", href: settings, "aria-label": `Settings of ${org.name}` }, "Settings"),
  );
  const load = async () => {
    try {
      const { data } = await rest("GET", `${orgPath(org.org)}/ai-integrations`);
      state.textContent = onCount(data.items);
      state.classList.toggle("some", data.items.some((one) => one.state === "enabled"));
    } catch {
      state.textContent = "state unknown";
    }
  };
  return [element, load];
}

/** Run the loads, a few at a time. */
async function fill(loads) {
  const queue = [...loads];
  const worker = async () => {
    while (queue.length) await queue.shift()();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
