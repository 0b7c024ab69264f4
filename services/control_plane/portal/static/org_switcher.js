// The way from one organization to another without going back to the list: shown to people who have several.

import { h, newId } from "./dom.js";
import { all } from "./rest.js";

/** @import {Org} from "./types.d.ts" */

/** Build it; it stays empty for people with one org. @param {string} current the org's id @param {string} section */
export function orgSwitcher(current, section) {
  const id = newId("switcher");
  const list = h("select", { id, onchange: () => location.assign(`/orgs/${encodeURIComponent(list.value)}/${section}`) });
  const element = h("div", { class: "switcher", hidden: true }, h("label", { class: "unseen", for: id }, "Switch to another org"), list);
  fill(list, current).then(
    (isUseful) => {
      element.hidden = !isUseful;
    },
    () => {}, // without the list there is the way back to My Orgs
  );
  return element;
}

/** @param {HTMLSelectElement} list @param {string} current */
async function fill(list, current) {
  /** @type {Org[]} */
  const orgs = await all("/orgs");
  list.append(
    ...orgs.map(({ org, name }) => h("option", { value: org, selected: org === current }, name === org ? name : `${name} (${org})`)),
  );
  return orgs.length > 1 && orgs.some(({ org }) => org === current);
}
