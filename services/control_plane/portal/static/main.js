// Begins the page that the document names.

import { failure, frame } from "./frame.js";
import { showHistory } from "./history_page.js";
import { showIntegrations } from "./integrations_page.js";
import { showMembers } from "./members_page.js";
import { showOrgs } from "./orgs_page.js";
import { orgPath, rest } from "./rest.js";
import { showSignIn } from "./sign_in_page.js";

const SECTIONS = {
  integrations: ["ai-integrations", showIntegrations],
  members: ["members", showMembers],
  history: ["history", showHistory],
};

async function begin() {
  const { page, signIn } = document.body.dataset;
  if (page === "sign-in") return showSignIn(signIn);
  const asked = rest("GET", "/me");
  if (page === "orgs") {
    const me = (await asked).data.email;
    return showOrgs(frame({ me, org: null }), me);
  }
  const [section, show] = SECTIONS[page];
  const id = decodeURIComponent(location.pathname.split("/")[2]);
  const [who, found] = await Promise.allSettled([asked, rest("GET", orgPath(id))]);
  if (who.status === "rejected") throw who.reason;
  const me = who.value.data.email;
  try {
    if (found.status === "rejected") throw found.reason;
    const org = found.value.data;
    document.title = `${org.name} · ${document.title}`;
    return await show(frame({ me, org, section }), org, me);
  } catch (error) {
    const main = document.querySelector("main") ?? frame({ me, org: null });
    main.replaceChildren(failure(error));
  }
}

begin()
  .catch((error) => document.body.append(failure(error)))
  .finally(() => document.body.setAttribute("data-ready", ""));
