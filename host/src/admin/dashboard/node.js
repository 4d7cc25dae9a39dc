// The node that this page belongs to, asked over its own API.

const KEY = 'gristmill-token';

let token = sessionStorage.getItem(KEY) ?? '';

/** A token behind the `#` is kept for this tab, and taken out of the address. */
export function adoptToken() {
  const found = /[#&]token=([^&]+)/.exec(location.hash);
  if (!found) return;
  setToken(decodeURIComponent(found[1]));
  history.replaceState(null, '', location.pathname + (location.hash.replace(found[0], '') || '#pipelines'));
}

export function setToken(text) {
  token = text.trim();
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** An answer that says no, with its status. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function send(path, options = {}) {
  const headers = token ? { authorization: `Bearer ${token}`, ...options.headers } : options.headers;
  let reply;
  try {
    reply = await fetch(path, { cache: 'no-store', ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, 'The node does not answer.');
  }
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => ({}));
  throw new Refused(reply.status, told.error ?? told.reasons?.join('; ') ?? `The node answers ${reply.status}.`);
}

export const read = async (path) => (await send(path)).json();
export const text = async (path) => (await send(path)).text();
export const post = async (path, body) =>
  (await send(path, { method: 'POST', body: body && JSON.stringify(body), headers: body && { 'content-type': 'application/json' } })).json();
export const remove = async (path) => (await send(path, { method: 'DELETE' })).json();

/** Calls `seen` with each line of JSON until `signal` says that it is enough, or the node ends it. */
export async function lines(path, signal, seen) {
  const reply = await send(path, { signal });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    parts.filter((line) => line.trim()).forEach((line) => seen(JSON.parse(line)));
  }
}
