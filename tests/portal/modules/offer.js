// What `GET providers` answers, from the file that test_modules.py writes; for modules that need to know providers.

import { readFileSync } from "node:fs";

import { learnProviders } from "../../../services/control_plane/portal/static/providers.js";

export const OFFER = JSON.parse(readFileSync(process.env.OFFER, "utf8"));

learnProviders(OFFER);
