// A real OpenID provider for tests: one client that must use PKCE; any login is a person of example.test.
// Arguments: port, redirect URI, client secret, and further options as JSON: {issuer, key, cert, authMethod,
// verifiedAsText, signedOutUri}. With key and cert it serves TLS. Says "listening" when it is.

import { readFileSync } from "node:fs";
import { createServer } from "node:https";

import { Provider } from "oidc-provider";

const [port, redirectUri, secret, more = "{}"] = process.argv.slice(2);
const { issuer, key, cert, authMethod, verifiedAsText, signedOutUri } = JSON.parse(more);
const verified = (id) => (verifiedAsText ? String(id !== "unverified") : id !== "unverified");
const provider = new Provider(issuer ?? `http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "portal",
      client_secret: secret,
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: authMethod ?? "client_secret_basic",
      post_logout_redirect_uris: signedOutUri ? [signedOutUri] : [],
    },
  ],
  clientAuthMethods: [authMethod ?? "client_secret_basic"],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  pkce: { required: () => true },
  cookies: { keys: ["only-for-tests"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@Example.test`, email_verified: verified(id) }),
  }),
});
const served = key ? createServer({ key: readFileSync(key), cert: readFileSync(cert) }, provider.callback()) : provider;
served.listen(Number(port), "127.0.0.1", () => console.log("listening"));
