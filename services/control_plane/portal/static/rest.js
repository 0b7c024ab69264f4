// The one door to the REST interface: same origin, JSON, ETags, problems. Keeps no answer, and waits for none for ever.

/** @import {Answer, ProblemObject, RequestOptions} from "./types.d.ts" */

const API = "/api/v1";
const PROBLEM = "urn:run9:ai-gateway:problem:";

/** After this long a request is said to take longer than usual. */
export const SLOW_MS = 10_000;
/** After this long a request is given up. */
export const GIVE_UP_MS = 30_000;

/** Problems that the gateway answers with when it cannot tell whether it changed something. */
const UNCERTAIN = new Set(["change-uncertain", "internal"]);

/** A request that was refused or has no answer. `problem` is the RFC 9457 object; status 0: nothing was answered. */
export class RequestError extends Error {
  /** @param {number} status @param {ProblemObject} problem @param {string | null} etag @param {number} [waitSeconds] */
  constructor(status, problem, etag, waitSeconds = 0) {
    super(problem.detail);
    this.status = status;
    this.problem = problem;
    this.etag = etag;
    /** How long to wait before the request is sent again (`Retry-After`); 0: nothing was said. */
    this.waitSeconds = waitSeconds;
  }

  /** Whether the gateway itself refused, so that nothing was changed. Anything else leaves that open. */
  get isRefusal() {
    const { type } = this.problem;
    return type.startsWith(PROBLEM) && !UNCERTAIN.has(type.slice(PROBLEM.length));
  }

  /** Whether the problem has this stable type, e.g. "state-changed". @param {string} type */
  is(type) {
    return this.problem.type === PROBLEM + type;
  }

  /** What is said about a field of the body, by its JSON pointer; "" for nothing. @param {string} pointer */
  faultAt(pointer) {
    return this.problem.errors?.find((error) => error.pointer === pointer)?.detail ?? "";
  }
}

/**
 * Make a request below /api/v1; give {data, etag, at}, or throw a `RequestError`. `at` is the time by the server's clock;
 * `onslow` is called once when the answer takes longer than usual.
 * @param {string} method @param {string} path @param {RequestOptions} [options] @returns {Promise<Answer>}
 */
export async function rest(method, path, options = {}) {
  return send(method, API + path, options);
}

/**
 * The same for any path of this origin.
 * @param {string} method @param {string} path @param {RequestOptions} [options] @returns {Promise<Answer>}
 */
export async function send(method, path, { body, etag, onslow } = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (etag) headers["if-match"] = etag;
  const ending = new AbortController();
  const slow = setTimeout(() => onslow?.(), SLOW_MS);
  const late = setTimeout(() => ending.abort(), GIVE_UP_MS);
  try {
    const answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: ending.signal,
    });
    return read(answer, await answer.text(), path);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError(0, noAnswer(ending.signal.aborted), null);
  } finally {
    clearTimeout(slow);
    clearTimeout(late);
  }
}

/** @param {Response} answer @param {string} text @param {string} path @returns {Answer} */
function read(answer, text, path) {
  const { status } = answer;
  const etag = answer.headers.get("etag");
  const data = parsed(answer, text);
  if (answer.ok && (data !== undefined || status === 204)) return { data, etag, at: answer.headers.get("date") };
  if (typeof data?.type !== "string" || !data.type.startsWith(PROBLEM)) throw new RequestError(status, inItsPlace(status), null);
  if (status !== 401) throw new RequestError(status, data, etag, Number(answer.headers.get("retry-after")) || 0);
  document.dispatchEvent(new CustomEvent("signed-out"));
  // The server's own words for a 401 are for programs; a person has to sign in, at the notice above the page.
  throw new RequestError(status, path.startsWith(API) ? { ...data, detail: "Your session has ended: sign in again." } : data, etag);
}

/** Give the JSON of an answer; undefined for anything else, e.g. a page of a proxy. @param {Response} answer @param {string} text */
function parsed(answer, text) {
  if (!/\bjson\b/.test(answer.headers.get("content-type") ?? "")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {boolean} isLate @returns {ProblemObject} */
function noAnswer(isLate) {
  if (isLate) return { type: "", title: "No answer", detail: `The gateway has not answered for ${GIVE_UP_MS / 1000} seconds.` };
  if (!navigator.onLine) return { type: "", title: "Offline", detail: "This browser is offline." };
  return { type: "", title: "No answer", detail: "The gateway cannot be reached, or its answer broke off." };
}

/** @param {number} status @returns {ProblemObject} */
function inItsPlace(status) {
  return {
    type: "",
    title: "Not the gateway's answer",
    detail: `Something between this browser and the gateway answered in its place (status ${status}).`,
  };
}

const MAX_ITEMS = 200_000;
/** How many times a page is asked for that the gateway says is too much at a time. */
const MAX_TRIES = 10;

/**
 * Give every item of a paged list, page after page. More than `max` is an error, never a shorter list.
 * @param {string} path @param {{max?: number, onslow?: () => void}} [options] @returns {Promise<any[]>}
 */
export async function all(path, { max = MAX_ITEMS, onslow } = {}) {
  const items = [];
  let cursor = null;
  do {
    const query = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const { data } = await patiently(`${path}${path.includes("?") ? "&" : "?"}limit=200${query}`, onslow);
    items.push(...data.items);
    cursor = data.next_cursor;
    if (cursor && items.length >= max) throw new Error(`There are more than ${max}: read them by the REST API.`);
  } while (cursor);
  return items;
}

/**
 * Read a page of a list; where the gateway says that this person reads too fast, wait as long as it says.
 * @param {string} path @param {(() => void) | undefined} onslow @returns {Promise<Answer>}
 */
async function patiently(path, onslow) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await rest("GET", path, { onslow });
    } catch (error) {
      const isTooFast = error instanceof RequestError && error.status === 429 && error.waitSeconds > 0;
      if (!isTooFast || tries >= MAX_TRIES) throw error;
      onslow?.();
      await new Promise((resolve) => setTimeout(resolve, error.waitSeconds * 1000));
    }
  }
}

/** The path of an org below /api/v1. @param {string} org */
export function orgPath(org) {
  return `/orgs/${encodeURIComponent(org)}`;
}
