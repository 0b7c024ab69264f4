// Members: who may edit and who may read. The platform decides; nothing is changed here.

import { h } from "./dom.js";
import { heading, onslow, skeleton } from "./frame.js";
import { all, orgPath } from "./rest.js";
import { day } from "./words.js";

/** @import {Member, Org} from "./types.d.ts" */

/** What can be shown before anything is known. @param {HTMLElement} main */
export function outlineMembers(main) {
  main.append(
    heading("Members", "Owners set keys and switch providers. Members see everything but the keys, and change nothing."),
    skeleton(3, "line-bone"),
  );
}

/** Fill the page. @param {HTMLElement} main @param {Promise<Org>} finding the org @param {Promise<string>} asking who is signed in @param {string} id of the org */
export async function showMembers(main, finding, asking, id) {
  const [org, me, members] = await Promise.all([finding, asking, all(`${orgPath(id)}/members`, { onslow: () => onslow(main) })]);
  main.querySelector(".skeleton")?.replaceWith(
    h(
      "div",
      { class: "table-box" },
      h(
        "table",
        { class: "stacked" },
        h("caption", { class: "unseen" }, `Members of ${org.name}`),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Person", "Role", "Since"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          members.map((member) => row(member, me)),
        ),
      ),
    ),
    h("p", { class: "fine" }, "People are added and removed in the run9 platform."),
  );
}

/** @param {Member} member @param {string} me */
function row(member, me) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, member.email, member.email === me ? h("span", { class: "tag" }, "you") : null),
    h("td", { "data-label": "Role" }, h("span", { class: `role ${member.role}` }, member.role === "owner" ? "Owner" : "Member")),
    h("td", { "data-label": "Since" }, h("time", { datetime: member.since }, day(member.since))),
  );
}
