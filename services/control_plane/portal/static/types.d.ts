// The shapes that the modules share, for the type checker alone; browsers never load this file.

export type ProviderName = string;

export interface Provider {
  name: ProviderName;
  title: string;
  company: string;
  defaultEndpoint: string;
  versionSegment: string;
  examplePath: string;
  keyPage: string;
  keyStart: string;
  console: string;
  about: string;
  snippets: Snippet[];
}

/** Lines to paste into a box. */
export interface Snippet {
  id: string;
  title: string;
  note: string;
  code: string;
}

/** A public start of keys, and whose keys begin so. */
export interface KeyStart {
  start: string;
  vendor: string;
  provider: ProviderName | null;
  hosts: string[];
  administers: boolean;
  demo: boolean;
}

/** What `GET providers` answers with, as far as pages read it. */
export interface Offer {
  items: {
    provider: ProviderName;
    title: string;
    company: string;
    about: string;
    default_endpoint: string;
    version_segment: string;
    example_path: string;
    keys: { kind: string; prefix: string }[];
    key_page: string;
    console: string;
    snippets: Snippet[];
  }[];
  key_starts: KeyStart[];
}

/** An integration as REST answers with it. */
export interface Saved {
  provider: ProviderName;
  state: "not_set_up" | "enabled" | "disabled";
  endpoint: string;
  endpoint_kind?: "default" | "demo" | "custom";
  key: { set: boolean; last4: string; fingerprint: string; updated_at: string; updated_by: string };
  local_base_url: string;
  revision: number;
  updated_at: string;
  updated_by: string | null;
}

/** What a person has touched: "" and null stand for a field that was left alone. */
export interface Draft {
  key: string;
  endpoint: string | null;
  enabled: boolean | null;
}

export interface Parts {
  key: boolean;
  endpoint: boolean;
  enabled: boolean;
}

export interface Faults {
  key?: string;
  endpoint?: string;
}

export interface ChangeBody {
  api_key?: string;
  endpoint?: string | null;
  enabled?: boolean;
}

export interface Traffic {
  accepted_at: string | null;
  rejected_at: string | null;
}

export interface Rollout {
  revision: number;
  live: number;
  total: number;
  unknown: number;
  unknown_seconds: number | null;
  seconds: number | null;
  traffic: Traffic;
}

/** What a key test on this page has found, and since when the key it speaks of is saved. */
export interface Finding {
  verdict: string;
  at: string;
  keySince?: string;
}

export interface Step {
  step: string;
  status: "ok" | "failed" | "unknown" | "skipped";
  detail: string;
  seconds: number | null;
}

export interface TestResult {
  provider: ProviderName;
  endpoint: string;
  tested: "typed" | "stored";
  key_last4: string | null;
  verdict: "valid" | "invalid" | "unknown";
  steps: Step[];
}

export interface Org {
  org: string;
  name: string;
  role: "owner" | "member";
  owners: string[];
  enabled: ProviderName[];
}

export interface Member {
  email: string;
  role: "owner" | "member";
  since: string;
}

export interface AuditEntry {
  at: string;
  actor: string;
  action: string;
  target: string;
  revision: number;
  details: { changed?: string[]; state?: string; key_last4?: string; endpoint?: string; role?: string; name?: string; tested?: string; verdict?: string };
}

export interface ProblemObject {
  type: string;
  title: string;
  detail: string;
  status?: number;
  errors?: { pointer?: string; detail: string }[];
  current?: Saved;
}

export interface Answer {
  data: any;
  etag: string | null;
  at: string | null;
}

export interface RequestOptions {
  body?: unknown;
  etag?: string | null;
  onslow?: () => void;
}

/** What became of a change that was sent. */
export type Outcome =
  | { kind: "done"; saved: Saved; etag: string; warnings: string[]; at: string | null }
  | { kind: "refused"; error: import("./rest.js").RequestError }
  | { kind: "unknown"; error: import("./rest.js").RequestError };
