// A real OpenID Connect provider for the tests. What it knows comes as one line of JSON on standard input: its keys,
// clients and people; each further line is a new set of keys, or "{"down": true}". It answers each line with one.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const known = await next();
let handler;
let seen = {};
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  seen[pathname] = (seen[pathname] ?? 0) + 1;
  if (handler) handler(request, response);
  else request.socket.destroy();
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://localhost:${server.address().port}`;

function provider(keys) {
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: known.clients,
    claims: { openid: ['sub'], profile: ['department', 'roles'] },
    findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, ...known.people[id] }) }),
    cookies: { keys: ['of the tests'] },
    conformIdTokenClaims: known.conform,
    extraTokenClaims: (context, token) => known.people[token.accountId],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (context, client) => client.resource ?? known.audience,
        useGrantedResource: () => false,
        getResourceServerInfo: (context, resource) => ({
          scope: 'exchange.read exchange.request',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: known.alg } },
        }),
      },
    },
    extraClientMetadata: { properties: ['resource'] },
    ttl: { ClientCredentials: 600, AccessToken: 600, IdToken: 600, Session: 600, Grant: 600, Interaction: 600 },
  });
  return made.callback();
}

handler = provider(known.keys);
console.log(JSON.stringify({ issuer }));
for (;;) {
  const said = await next().catch(() => process.exit(0));
  if (said.keys) handler = provider(said.keys);
  if (said.down) handler = undefined;
  console.log(JSON.stringify({ seen }));
  seen = {};
}
