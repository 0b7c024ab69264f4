// What every page has around it: the bar at the top, an org's sidebar, and the notice of an ended session.

import { h, icon } from "./dom.js";
import { rest, send } from "./rest.js";

const SECTIONS = [
  ["ai-integrations", "AI Integrations"],
  ["members", "Members"],
  ["history", "History"],
];

/** Build the page's frame and give the element that its content goes into. `org` may be null. */
export function frame({ me, org, section }) {
  const main = h("main", { id: "main", tabindex: "-1" });
  document.body.append(
    h("a", { class: "skip", href: "#main" }, "Skip to content"),
    topBar(me),
    org ? h("div", { class: "with-sidebar" }, sidebar(org, section), main) : h("div", { class: "plain" }, main),
  );
  watchSession(me);
  return main;
}

/** The product's mark. */
export function brand(href) {
  const mark = h("span", { class: "mark", "aria-hidden": "true" }, "r9");
  const name = h("span", { class: "brand-name" }, "run9 ", h("span", { class: "brand-part" }, "AI Gateway"));
  return href ? h("a", { class: "brand", href }, mark, name) : h("span", { class: "brand" }, mark, name);
}

function topBar(me) {
  const signOut = h("button", { type: "button", class: "button quiet small", onclick: () => leave(signOut) }, "Sign out");
  return h(
    "header",
    { class: "top-bar" },
    brand("/"),
    h("span", { class: "person", title: me }, me),
    signOut,
  );
}

async function leave(button) {
  button.disabled = true;
  try {
    await send("POST", "/sign-out");
    location.assign("/sign-in?left");
  } catch {
    button.disabled = false;
  }
}

function sidebar(org, section) {
  const links = SECTIONS.map(([path, title]) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: `/orgs/${encodeURIComponent(org.org)}/${path}`, "aria-current": path === section ? "page" : null },
        title,
      ),
    ),
  );
  return h(
    "aside",
    { class: "sidebar" },
    h("a", { class: "back", href: "/" }, icon("back"), "My Orgs"),
    h("p", { class: "org-name" }, org.name),
    h("p", { class: "org-id" }, org.org),
    h("nav", { "aria-label": "Org settings" }, h("ul", {}, links)),
  );
}

/** Say that the session has ended, without losing what was typed: signing in happens in another tab. */
function watchSession(me) {
  let notice = null;
  document.addEventListener("signed-out", () => {
    if (notice) return;
    notice = h(
      "div",
      { class: "notice warn session-ended", role: "alert" },
      h("p", {}, h("strong", {}, "Your session has ended. "), "What you typed is still here. Sign in again, then come back to this page."),
      h("a", { class: "button", href: "/sign-in?again", target: "_blank", rel: "noopener" }, "Sign in in a new tab", icon("external")),
    );
    document.querySelector(".top-bar").after(notice);
  });
  document.addEventListener("visibilitychange", async () => {
    if (!notice || document.visibilityState !== "visible") return;
    const { data } = await rest("GET", "/me").catch(() => ({ data: null }));
    if (data?.email === me) {
      notice.remove();
      notice = null;
    } else if (data) {
      location.reload();
    }
  });
}

/** A page's heading with a line below it. */
export function heading(title, lead) {
  return h("header", { class: "page-head" }, h("h1", {}, title), lead ? h("p", { class: "lead" }, lead) : null);
}

/** A failure that leaves nothing to show: what happened, and a way to try again. */
export function failure(error) {
  const gone = error.status === 404;
  return h(
    "div",
    { class: "empty", role: "alert" },
    h("h1", {}, gone ? "There is nothing here" : "This could not be loaded"),
    h("p", {}, error.message),
    gone
      ? h("a", { class: "button", href: "/" }, "Go to My Orgs")
      : h("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again"),
  );
}
