/** The signalling line: one WebSocket at a time, reopened with backoff, resumed where the server allows it. */

import { backoff } from './backoff.js';
import { deferred } from './coalescer.js';
import { AuraLinkError, CONNECTION_LOST } from './errors.js';

export const SUBPROTOCOL = 'auralink.v1';

/** All in seconds. */
export const DEFAULT_TIMING = {
  pingInterval: 10,
  pongTimeout: 15, // a socket that says nothing for so long after a ping is dead
  openTimeout: 10, // for a token to come, and then from dialling to `welcome`
  requestTimeout: 15,
  firstConnectTimeout: 20, // the first connection gives up after this; later ones never do
};

/** Refusals by a person, which trying again does not change. */
const FINAL = new Set(['removed', 'banned', 'denied']);

/** Refusals of a join that may be over a moment later, even if the server names no time. */
const PASSING = new Set(['shutting_down', 'rate_limited', 'too_many_connections', 'too_many_rooms', 'join_timeout']);
const MOST_REFUSALS = 3; // in a row, of the others, before joining anew is given up
const SUSPICION = 0.5; // seconds that a socket has for an answer when the network seems to have changed
const SHORT_WAIT = 5; // seconds that a first join waits by itself when the server asks for it

/**
 * Events: `welcome` (the message), `message` (any other message), `lost` (the socket is gone, retries begin),
 * `retrying` ({attempt, delay} in seconds), `ended` (an AuraLinkError: it will not come back).
 */
export class Signal extends EventTarget {
  #url;
  #getToken;
  #subscribe;
  #timing;
  #socket = null;
  #state = 'idle'; // idle, opening, knocking (a moderator must let us in), open, waiting, ended
  #attempt = 0;
  #refusals = 0;
  #refusal = null; // why the last join was refused
  #homeUrl = null; // where the instance that knows our session answers
  #resumeToken = null;
  #wasOpen = false;
  #startedAt = 0;
  #timers = { retry: 0, open: 0, ping: 0, pong: 0 };
  #requests = new Map();
  #nextRequest = 1;
  #opened = deferred();
  #wake = () => globalThis.document?.visibilityState !== 'hidden' && this.#nudge(5);
  #suspect = () => this.suspect();

  /**
   * @param {{url: string, getToken: (context: {refused: AuraLinkError | null}) => Promise<string>, subscribe: 'auto' | 'manual', timing?: object}} options
   */
  constructor({ url, getToken, subscribe, timing }) {
    super();
    this.#url = url;
    this.#getToken = getToken;
    this.#subscribe = subscribe;
    this.#timing = { ...DEFAULT_TIMING, ...timing };
  }

  get isOpen() {
    return this.#state === 'open';
  }

  /** Resolves as soon as there is an open session; rejects when there will be none. */
  whenOpen() {
    return this.#opened.promise;
  }

  /** Dial. Call once. */
  connect() {
    globalThis.addEventListener?.('online', this.#suspect);
    globalThis.navigator?.connection?.addEventListener?.('change', this.#suspect);
    globalThis.document?.addEventListener('visibilitychange', this.#wake);
    this.#startedAt = now();
    this.#dial();
    return this.whenOpen();
  }

  /** Send without expecting a reply. Returns whether there was a socket to send on. */
  send(message) {
    if (!this.isOpen && this.#state !== 'knocking') return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Send and wait for the reply that repeats our request id.
   * @returns {Promise<object>} rejects with AuraLinkError: the server's code, `connection_lost` or `timeout`
   */
  request(message) {
    const lost = new AuraLinkError(CONNECTION_LOST, 'The connection to the server is interrupted.');
    const request = `r${this.#nextRequest++}`;
    if (!this.isOpen || !this.send({ ...message, request })) return Promise.reject(lost);
    const pending = deferred();
    const timer = setTimeout(() => {
      if (this.#requests.delete(request)) {
        pending.reject(new AuraLinkError('timeout', `The server did not answer to “${message.type}” in time.`));
      }
    }, this.#timing.requestTimeout * 1000);
    this.#requests.set(request, { ...pending, timer, lost });
    return pending.promise;
  }

  /** The network may have changed: a socket that does not answer at once is given up, and a delay is not sat out. */
  suspect() {
    this.#nudge(SUSPICION, true);
  }

  /** End for good, after a `leave` if there is a session. @param {'left' | 'migrated'} [reason] */
  close(reason = 'left') {
    this.send({ type: 'leave', reason });
    this.#end(new AuraLinkError('left', 'You left the room.'));
  }

  // ------------------------------------------------------------------------------------------ opening

  async #dial() {
    this.#state = 'opening';
    const resuming = this.#resumeToken !== null;
    let greeting;
    try {
      greeting = resuming
        ? { type: 'resume', resume_token: this.#resumeToken }
        : { type: 'join', token: await this.#token(), subscribe: this.#subscribe };
    } catch (cause) {
      const error = cause instanceof AuraLinkError ? cause : new AuraLinkError('no_token', String(cause?.message ?? cause), { cause });
      if (!this.#wasOpen) this.#end(error);
      else this.#retry();
      return;
    }
    if (this.#state !== 'opening') return;

    // The home instance first; if it cannot be reached there, the address we were given may lead to it.
    const address = resuming && this.#homeUrl && this.#attempt % 2 === 0 ? this.#homeUrl : this.#url;
    let socket;
    try {
      socket = new WebSocket(address, SUBPROTOCOL);
    } catch (cause) {
      this.#end(new AuraLinkError('bad_url', `${address} is not an address of a server.`, { cause }));
      return;
    }
    this.#socket = socket;
    this.#timers.open = setTimeout(() => this.#lost(socket), this.#timing.openTimeout * 1000);
    socket.onopen = () => socket.send(JSON.stringify({ ...greeting, request: 'hello' }));
    socket.onclose = () => this.#lost(socket);
    socket.onmessage = ({ data }) => {
      const message = parse(data);
      if (!message || socket !== this.#socket) return;
      if (this.#state === 'open') this.#receive(message);
      else this.#greet(message, resuming);
    };
  }

  /** What `getToken` gives, if it does so in time. */
  async #token() {
    let timer;
    const late = new Promise((resolve, reject) => {
      const error = new AuraLinkError('no_token', 'The access token did not come in time.');
      timer = setTimeout(reject, this.#timing.openTimeout * 1000, error);
    });
    try {
      return await Promise.race([this.#getToken({ refused: this.#refusal }), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #greet(message, resuming) {
    clearTimeout(this.#timers.pong);
    this.#timers.pong = 0;
    if (message.type === 'waiting') {
      clearTimeout(this.#timers.open);
      this.#state = 'knocking';
      this.#startedAt = Infinity; // from here on it takes as long as it takes
      this.#timers.ping = setInterval(() => this.#ping(this.#timing.pongTimeout), this.#timing.pingInterval * 1000);
      this.#emit('message', message);
    } else if (message.type === 'welcome') {
      clearTimeout(this.#timers.open);
      clearInterval(this.#timers.ping);
      this.#state = 'open';
      this.#wasOpen = true;
      this.#attempt = this.#refusals = 0;
      this.#refusal = null;
      this.#resumeToken = message.resume_token;
      this.#homeUrl = socketUrl(message.url, this.#url);
      this.#timers.ping = setInterval(() => this.#ping(this.#timing.pongTimeout), this.#timing.pingInterval * 1000);
      this.#emit('welcome', message);
      this.#opened.resolve();
    } else if (message.type === 'error' || (message.type === 'goodbye' && !message.resume)) {
      this.#refused(message, resuming);
    }
  }

  /** The server said no to `join` or `resume`. */
  #refused(message, resuming) {
    const error = AuraLinkError.from(message);
    this.#drop();
    if (resuming) {
      // The session is over there, the call need not be: join anew at once, unless told to wait.
      if (error.retryAfter) return this.#retry(error.retryAfter);
      this.#resumeToken = null;
      return this.#dial();
    }
    this.#refusal = error;
    this.#refusals += 1;
    const passing = error.retryAfter !== undefined || PASSING.has(error.code);
    const hopeless = this.#wasOpen ? !passing && this.#refusals >= MOST_REFUSALS : !(error.retryAfter <= SHORT_WAIT);
    if (hopeless || FINAL.has(error.code)) return this.#end(error);
    this.#retry(error.retryAfter);
  }

  // ------------------------------------------------------------------------------------------ open

  #receive(message) {
    clearTimeout(this.#timers.pong);
    this.#timers.pong = 0;
    if (message.type === 'goodbye') {
      const error = AuraLinkError.from(message);
      if (message.resume) this.#lost(this.#socket);
      else this.#end(error);
      return;
    }
    const pending = this.#requests.get(message.request);
    if (pending) {
      this.#requests.delete(message.request);
      clearTimeout(pending.timer);
      // What others see of it comes first, so that a caller who awaits the reply finds its effect in place.
      if (message.type !== 'error') this.#emit('message', message);
      if (message.type === 'error') pending.reject(AuraLinkError.from(message));
      else pending.resolve(message);
    } else {
      this.#emit('message', message);
    }
  }

  #ping(patience, atOnce = false) {
    this.send({ type: 'ping' });
    if (this.#timers.pong) return;
    const socket = this.#socket;
    this.#timers.pong = setTimeout(() => {
      this.#lost(socket);
      if (atOnce) this.#nudge(patience);
    }, patience * 1000);
  }

  // ------------------------------------------------------------------------------------------ losing and ending

  #lost(socket) {
    if (socket !== this.#socket || this.#state === 'ended') return;
    const wasOpen = this.#state === 'open';
    this.#drop();
    if (wasOpen) {
      this.#opened = deferred();
      this.#state = 'waiting';
      this.#emit('lost', null);
    }
    this.#retry();
  }

  #retry(after) {
    if (this.#state === 'ended') return;
    if (!this.#wasOpen && now() - this.#startedAt > this.#timing.firstConnectTimeout) {
      this.#end(new AuraLinkError('unreachable', 'The server cannot be reached.'));
      return;
    }
    this.#state = 'waiting';
    // On top of what the server asks for: it tells the same to all who wait, and they should not come back in step.
    const delay = (after ?? 0) + backoff(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#emit('retrying', { attempt: this.#attempt, delay });
    this.#timers.retry = setTimeout(() => this.#dial(), delay * 1000);
  }

  /** The network or the person is back: do not sit out a delay, and do not trust an old socket for long. */
  #nudge(patience, atOnce = false) {
    if (this.#state === 'waiting') {
      clearTimeout(this.#timers.retry);
      this.#dial();
    } else if (this.#state === 'open') {
      clearTimeout(this.#timers.pong);
      this.#timers.pong = 0;
      this.#ping(Math.min(patience, this.#timing.pongTimeout), atOnce);
    }
  }

  /** Let go of the socket without waiting for its closing handshake, which a dead network never finishes. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    for (const name of ['retry', 'open', 'pong']) clearTimeout(this.#timers[name]);
    clearInterval(this.#timers.ping);
    this.#timers = { retry: 0, open: 0, ping: 0, pong: 0 };
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const pending = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject, timer, lost } of pending) {
      clearTimeout(timer);
      reject(lost);
    }
  }

  #end(error) {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#drop();
    globalThis.removeEventListener?.('online', this.#suspect);
    globalThis.navigator?.connection?.removeEventListener?.('change', this.#suspect);
    globalThis.document?.removeEventListener('visibilitychange', this.#wake);
    this.#opened.reject(error); // has no effect on a promise that was resolved before
    this.#opened = deferred();
    this.#opened.reject(error);
    this.#emit('ended', error);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The WebSocket address for `url`, which may be relative, empty, or start with http. Null if it is none. */
export function socketUrl(url, base) {
  if (!url) return null;
  try {
    const address = new URL(url, base);
    address.protocol = address.protocol.replace(/^http/, 'ws');
    if (address.pathname === '/') address.pathname = '/ws';
    address.hash = '';
    return /^wss?:$/.test(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

function parse(data) {
  try {
    const message = JSON.parse(data);
    return typeof message?.type === 'string' ? message : null;
  } catch {
    return null;
  }
}

const now = () => performance.now() / 1000;
