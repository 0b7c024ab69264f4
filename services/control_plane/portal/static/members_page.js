// Members: who may edit and who may read. The platform decides; nothing is changed here.

import { h, say } from "./dom.js";
import { heading, onslow, showGone, skeleton } from "./frame.js";
import { LIST_MS, Poll } from "./poll.js";
import { all, orgPath } from "./rest.js";
import { clockTime, day } from "./words.js";

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
  const path = `${orgPath(id)}/members`;
  const [org, me, members] = await Promise.all([finding, asking, all(path, { onslow: () => onslow(main) })]);
  const body = h("tbody");
  const told = h("p", { class: "fine", role: "status" });
  fill(body, members, me);
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
        body,
      ),
    ),
    h("p", { class: "fine" }, "People are added and removed in the run9 platform."),
    told,
  );
  let shown = JSON.stringify(members);
  const ask = async () => {
    const found = await all(path);
    if (JSON.stringify(found) === shown) return;
    shown = JSON.stringify(found);
    fill(body, found, me);
    say(told, `This list has changed at ${clockTime()}.`);
  };
  new Poll({ ask, pauseMs: () => LIST_MS, ongone: () => showGone(main) }).later();
}

/** @param {HTMLElement} body @param {Member[]} members @param {string} me */
function fill(body, members, me) {
  body.replaceChildren(...members.map((member) => row(member, me)));
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
