// History as CSV (RFC 4180), safe to open in a spreadsheet.

/** @type {("at" | "actor" | "action" | "target" | "revision" | "details")[]} */
const COLUMNS = ["at", "actor", "action", "target", "revision", "details"];

/** @import {AuditEntry} from "./types.d.ts" */

/** Write rows of the audit, with a header line. @param {AuditEntry[]} entries */
export function auditCsv(entries) {
  const lines = entries.map((entry) =>
    COLUMNS.map((name) => cell(name === "details" ? JSON.stringify(entry.details) : entry[name])).join(","),
  );
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

/** Quote one value. A spreadsheet runs what begins with one of these as a formula; a quote in front stops it. @param {unknown} value */
export function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
