// Members: who may edit and who may read. The platform decides; nothing is changed here.

import { h } from "./dom.js";
import { heading } from "./frame.js";
import { all, orgPath } from "./rest.js";
import { day } from "./words.js";

/** Fill the page. */
export async function showMembers(main, org, me) {
  const members = await all(`${orgPath(org.org)}/members`);
  main.append(
    heading("Members", "Owners set keys and switch providers. Members see everything but the keys, and change nothing."),
    h(
      "div",
      { class: "table-box" },
      h(
        "table",
        { class: "stacked" },
        h("caption", { class: "unseen" }, `Members of ${org.name}`),
        h("thead", {}, h("tr", {}, ["Person", "Role", "Since"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, members.map((member) => row(member, me))),
      ),
    ),
    h("p", { class: "fine" }, "People are added and removed in the run9 platform."),
  );
}

function row(member, me) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, member.email, member.email === me ? h("span", { class: "tag" }, "you") : null),
    h("td", { "data-label": "Role" }, h("span", { class: `role ${member.role}` }, member.role === "owner" ? "Owner" : "Member")),
    h("td", { "data-label": "Since" }, h("time", { datetime: member.since }, day(member.since))),
  );
}
