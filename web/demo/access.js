/** Where the access token comes from: the address's fragment, the field, or a server in dev mode. */

import { AuraLinkError } from '../auralink.js';

/**
 * Take `#token=…` out of the address bar, so that it is neither copied nor kept in the history.
 * It is never read from the query, which servers log.
 * @returns {string} or empty
 */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  if (token) history.replaceState(history.state, '', location.pathname + location.search);
  return token;
}

/** What a token says of room and name; the server verifies it, this only fills the form. */
export function peek(token) {
  try {
    const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.codePointAt(0));
    const { room, name, identity, sub } = JSON.parse(new TextDecoder().decode(bytes));
    return { room: text(room), name: text(name) || text(identity) || text(sub) };
  } catch {
    return { room: '', name: '' };
  }
}

const text = (value) => (typeof value === 'string' ? value : '');

// Who makes a room moderates it; who follows a link to one does not. A reload changes nothing about that.
const invitedTo = new URLSearchParams(location.search).get('room');

function moderates(room) {
  const key = `auralink.moderates.${room}`;
  try {
    if (room !== invitedTo) sessionStorage.setItem(key, '1');
    return sessionStorage.getItem(key) === '1';
  } catch {
    return room !== invitedTo; // a private window keeps nothing
  }
}

let kept = { key: '', token: '' };

/**
 * A token from a server in dev mode, kept for joining anew: each one is another identity.
 * @param {string} room
 * @param {string} name
 * @param {boolean} fresh  the one we have was refused
 * @returns {Promise<string>}
 * @throws {AuraLinkError} `token_needed` where the server does not give any
 */
export async function devToken(room, name, fresh) {
  const key = JSON.stringify([room, name]);
  if (fresh || kept.key !== key) kept = { key, token: await fetchToken(room, name) };
  return kept.token;
}

/**
 * @param {string} room
 * @param {string} name
 * @returns {Promise<string>}
 */
async function fetchToken(room, name) {
  let response;
  try {
    response = await fetch('api/dev/token', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ room, name, admin: moderates(room) }),
    });
  } catch (cause) {
    throw new AuraLinkError('unreachable', 'The server cannot be reached. Is it running, and are you online?', { cause });
  }
  if (response.status === 404 || response.status === 405) {
    throw new AuraLinkError('token_needed', 'This server asks for an access token. Use the link you were invited with, or paste the token here.');
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok || !body.token) {
    throw new AuraLinkError(body.code ?? 'no_token', body.message ?? `The server refused to let you in (${response.status}).`);
  }
  return body.token;
}
