// The one door to the REST interface: same origin, JSON, ETags, problems. Keeps no answer.

const API = "/api/v1";

/** A request that was refused or could not be made. `problem` is the RFC 9457 object; status 0: no answer. */
export class RequestError extends Error {
  constructor(status, problem, etag) {
    super(problem.detail);
    this.status = status;
    this.problem = problem;
    this.etag = etag;
  }

  /** Whether the problem has this stable type, e.g. "state-changed". */
  is(type) {
    return this.problem.type === `urn:run9:ai-gateway:problem:${type}`;
  }

  /** What is said about a field of the body, by its JSON pointer; "" for nothing. */
  faultAt(pointer) {
    return this.problem.errors?.find((error) => error.pointer === pointer)?.detail ?? "";
  }
}

const NO_ANSWER = { type: "", title: "No answer", detail: "The control plane cannot be reached." };

/** Make a request below /api/v1; give {data, etag, at}, or throw a `RequestError`. `at` is the time by the server's clock. */
export async function rest(method, path, { body, etag } = {}) {
  return send(method, API + path, { body, etag });
}

/** The same for any path of this origin. */
export async function send(method, path, { body, etag } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (etag) headers["if-match"] = etag;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new RequestError(0, NO_ANSWER, null);
  }
  const data = await readJson(answer);
  if (answer.ok) return { data, etag: answer.headers.get("etag"), at: answer.headers.get("date") };
  const problem = answer.status === 401 && path.startsWith(API) ? signedOut(data) : data ?? { type: "", title: "No answer", detail: `The control plane answered with status ${answer.status}.` };
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  throw new RequestError(answer.status, problem, answer.headers.get("etag"));
}

/** The server's own words for a 401 are for programs; a person has to sign in, at the notice above the page. */
function signedOut(problem) {
  return { type: "", title: "Signed out", ...problem, detail: "Your session has ended: sign in again." };
}

async function readJson(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

/** Give every item of a paged list, page after page, up to `max`. */
export async function all(path, max = 10_000) {
  const items = [];
  let cursor = null;
  do {
    const query = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const { data } = await rest("GET", `${path}${path.includes("?") ? "&" : "?"}limit=200${query}`);
    items.push(...data.items);
    cursor = data.next_cursor;
  } while (cursor && items.length < max);
  return items;
}

/** The path of an org below /api/v1. */
export function orgPath(org) {
  return `/orgs/${encodeURIComponent(org)}`;
}
