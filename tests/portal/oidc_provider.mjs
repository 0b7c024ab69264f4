// A real OpenID provider for tests: one client that must use PKCE; any login is a person of example.test.
// Arguments: port, redirect URI, client secret. Says "listening" when it is.

import { Provider } from "oidc-provider";

const [port, redirectUri, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: "portal", client_secret: secret, redirect_uris: [redirectUri] }],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  pkce: { required: () => true },
  cookies: { keys: ["only-for-tests"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@Example.test`, email_verified: id !== "unverified" }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
