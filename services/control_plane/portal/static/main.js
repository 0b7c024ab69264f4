// Begins the page that the document names: its frame and outline at once, the rest when the gateway has answered.

import { h } from "./dom.js";
import { brand, failure, frame } from "./frame.js";
import { outlineHistory, showHistory } from "./history_page.js";
import { outlineIntegrations, showIntegrations } from "./integrations_page.js";
import { outlineMembers, showMembers } from "./members_page.js";
import { outlineOrgs, showOrgs } from "./orgs_page.js";
import { loadProviders } from "./providers.js";
import { orgPath, rest } from "./rest.js";
import { showSignIn } from "./sign_in_page.js";

/** @type {Record<string, {path: string, outline: (main: HTMLElement) => void, show: typeof showIntegrations}>} */
const SECTIONS = {
  integrations: { path: "ai-integrations", outline: outlineIntegrations, show: showIntegrations },
  members: { path: "members", outline: outlineMembers, show: showMembers },
  history: { path: "history", outline: outlineHistory, show: showHistory },
};

async function begin() {
  const { page = "", signIn = "" } = document.body.dataset;
  if (page === "sign-in") return showSignIn(signIn);
  if (page === "not-found") return showNotFound();
  // Both at once: no page can say anything of a provider before it knows what is offered.
  const asking = Promise.all([rest("GET", "/me"), loadProviders()]).then(([{ data }]) => data.email);
  const id = page === "orgs" ? null : orgInAddress();
  const { path, outline, show } = SECTIONS[page] ?? {};
  const { main, setPerson, setOrg } = frame({ org: id, section: path });
  asking.then(setPerson, () => {}); // a failure is shown in place of the content
  try {
    if (id === null) {
      outlineOrgs(main);
      return await showOrgs(main, asking);
    }
    outline(main);
    const finding = rest("GET", orgPath(id)).then(({ data }) => data);
    finding.then(setOrg, () => {});
    await show(main, finding, asking, id);
  } catch (error) {
    if (error.status === 404) document.querySelector(".sidebar")?.remove();
    main.replaceChildren(failure(error));
  }
}

/** Asks nothing, so that it is the same for people who have not signed in. */
function showNotFound() {
  const gone = failure({ status: 404, isRefusal: true, message: "No page of the Portal has this address." });
  document.body.append(h("header", { class: "top-bar" }, brand("/")), h("div", { class: "plain" }, h("main", { id: "main" }, gone)));
}

/** The org's id in the address; "" for what is no text. */
function orgInAddress() {
  try {
    return decodeURIComponent(location.pathname.split("/")[2] ?? "");
  } catch {
    return "";
  }
}

begin()
  .catch((error) => document.body.append(failure(error)))
  .finally(() => document.body.setAttribute("data-ready", ""));
