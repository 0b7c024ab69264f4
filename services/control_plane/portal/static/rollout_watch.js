// Asks how far a change has got, until every gateway process has it.

import { rest } from "./rest.js";

const SOON_MS = 300;
const LATER_MS = 2000;
const SOON_POLLS = 30;
const MAX_POLLS = 90;

const TRAFFIC_MS = 4000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Tell `show` each answer until it is live everywhere; a newer watch, by `isCurrent`, ends this one. */
export async function watchRollout(path, isCurrent, show) {
  for (let poll = 0; poll < MAX_POLLS && isCurrent(); poll += 1) {
    try {
      const { data } = await rest("GET", `${path}/rollout`);
      if (!isCurrent()) return;
      show(data);
      if (data.live >= data.total) return;
    } catch (error) {
      if (error.status === 401 || error.status === 404) return;
    }
    await wait(poll < SOON_POLLS ? SOON_MS : LATER_MS);
  }
}

/** Tell `show` every few seconds what real traffic shows, as long as the page is looked at and `isWanted`. */
export function watchTraffic(path, isWanted, show) {
  setInterval(async () => {
    if (document.visibilityState !== "visible" || !isWanted()) return;
    try {
      show((await rest("GET", `${path}/rollout`)).data);
    } catch {
      // The next round asks again; what is shown stays.
    }
  }, TRAFFIC_MS);
}
