// History as CSV (RFC 4180), safe to open in a spreadsheet.

const COLUMNS = ["at", "actor", "action", "target", "revision", "details"];

/** Write rows of the audit, with a header line. */
export function auditCsv(entries) {
  const lines = entries.map((entry) =>
    COLUMNS.map((name) => cell(name === "details" ? JSON.stringify(entry.details) : entry[name])).join(","),
  );
  return [COLUMNS.join(","), ...lines].join("\r\n") + "\r\n";
}

/** Quote one value. A spreadsheet runs what begins with one of these as a formula; a quote in front stops it. */
export function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
