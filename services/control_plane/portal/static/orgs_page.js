// My Orgs: each with the person's role, how many providers are on, and the way to its settings.

import { h } from "./dom.js";
import { heading } from "./frame.js";
import { all } from "./rest.js";
import { onCount } from "./words.js";

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
  main.append(h("ul", { class: "orgs" }, orgs.map(row)));
}

function row(org) {
  const settings = `/orgs/${encodeURIComponent(org.org)}/ai-integrations`;
  return h(
    "li",
    { class: "org" },
    h("div", { class: "org-title" }, h("h2", {}, org.name), h("span", { class: "org-id" }, org.org)),
    h("span", { class: `role ${org.role}` }, org.role === "owner" ? "Owner" : "Member"),
    h("span", { class: org.enabled.length ? "org-state some" : "org-state" }, onCount(org.enabled)),
    h("a", { class: "button", href: settings, "aria-label": `Settings of ${org.name}` }, "Settings"),
  );
}
