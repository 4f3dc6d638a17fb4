/** The signalling line: one WebSocket at a time, reopened with backoff, resumed where the server allows it. */

import { socketUrl } from './address.js';
import { backoff } from './backoff.js';
import { deferred } from './coalescer.js';
import { AuraLinkError, CONNECTION_LOST } from './errors.js';
import { Replies } from './replies.js';
import { Route } from './route.js';

export const SUBPROTOCOL = 'auralink.v1';

/** All in seconds. */
export const DEFAULT_TIMING = {
  pingInterval: 10,
  pongTimeout: 15, // a socket that says nothing for so long after a ping is dead
  openTimeout: 10, // for a token to come, and then from dialling to `welcome`, wherever that leads
  briefly: 2, // for a socket to open where there is another way: a dead host must not hold us up
  requestTimeout: 15,
  firstConnectTimeout: 20, // the first connection gives up after this; later ones never do
};

/** Refusals by a person, which trying again does not change. */
const FINAL = new Set(['removed', 'banned', 'denied']);

/** Refusals of a join that may be over a moment later, even if the server names no time. */
const PASSING = new Set(['shutting_down', 'rate_limited', 'too_many_connections', 'too_many_rooms', 'join_timeout']);
const MOST_REFUSALS = 3; // in a row, of the others, before joining anew is given up
const SUSPICION = 0.5; // seconds that a socket has for an answer when the network seems to have changed
const LOST = 'The connection to the server is interrupted.';
// Seconds that a first join waits by itself when the server asks for it. After more, as of `turn_unavailable`, a person
// should have been told; who has been in the call waits however long.
const SHORT_WAIT = 5;

/**
 * Events: `welcome` (the message), `message` (any other message), `lost` (the socket is gone, retries begin),
 * `retrying` ({attempt, delay} in seconds), `redirected` ({url}: there we go next, unless closed now),
 * `ended` (an AuraLinkError: it will not come back).
 */
export class Signal extends EventTarget {
  #route;
  #getToken;
  #subscribe;
  #relayOnly; // media takes no way but a relay of the server's, so without one it would be in vain
  #timing;
  #socket = null;
  #state = 'idle'; // idle, opening, knocking (a moderator must let us in), open, waiting, ended
  #attempt = 0;
  #refusals = 0;
  #refusal = null; // why the last join was refused
  #resumeToken = null;
  #ticket = null; // the token of this round
  #departedAt = null; // when this round dialled first
  #wasOpen = false;
  #startedAt = 0;
  #timers = { retry: 0, open: 0, ping: 0, pong: 0 };
  #replies = new Replies();
  #opened = deferred();
  #wake = () => globalThis.document?.visibilityState !== 'hidden' && this.#nudge(5);
  #suspect = () => this.suspect();

  /**
   * @param {{url: string, getToken: (context: {refused: AuraLinkError | null, url: string}) => Promise<string>, subscribe: 'auto' | 'manual', timing?: object,
   *   rtcConfiguration?: RTCConfiguration, avoid?: string | null}} options  `avoid`: an instance to which a first join does not follow a redirect
   */
  constructor({ url, getToken, subscribe, timing, rtcConfiguration, avoid }) {
    super();
    this.#route = new Route(url, avoid);
    this.#getToken = getToken;
    this.#subscribe = subscribe;
    this.#relayOnly = rtcConfiguration?.iceTransportPolicy === 'relay' && !rtcConfiguration.iceServers;
    this.#timing = { ...DEFAULT_TIMING, ...timing };
  }

  get isOpen() {
    return this.#state === 'open';
  }

  /** Where our instance says that it is reached; null before there is one. @returns {string | null} */
  get home() {
    return this.#route.home;
  }

  /** Where to go when that instance is gone. @param {string} url */
  set entry(url) {
    this.#route.entry = url;
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
    this.#depart();
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
    if (!this.isOpen) return Promise.reject(new AuraLinkError(CONNECTION_LOST, LOST));
    const { request, reply } = this.#replies.expect(message.type, this.#timing.requestTimeout);
    this.send({ ...message, request });
    return reply;
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

  /** Begin a round: from here on, whatever leads on costs no delay. */
  #depart() {
    this.#route.begin(this.#resumeToken !== null);
    this.#ticket = this.#departedAt = null;
    this.#dial();
  }

  async #dial() {
    this.#state = 'opening';
    const resuming = this.#resumeToken !== null;
    try {
      if (!resuming) this.#ticket ??= await this.#token();
    } catch (cause) {
      const error = cause instanceof AuraLinkError ? cause : new AuraLinkError('no_token', String(cause?.message ?? cause), { cause });
      if (!this.#wasOpen) this.#end(error);
      else this.#retry();
      return;
    }
    if (this.#state !== 'opening') return;

    const { url, brief, stay } = this.#route.stop;
    const wish = { ...(stay && { stay }), ...(this.#relayOnly && { relay_only: true }) };
    const join = { type: 'join', token: this.#ticket, subscribe: this.#subscribe, ...wish };
    const greeting = resuming ? { type: 'resume', resume_token: this.#resumeToken } : join;
    let socket;
    try {
      socket = new WebSocket(url, SUBPROTOCOL);
    } catch (cause) {
      if (this.#route.missed()) this.#dial();
      else this.#end(new AuraLinkError('bad_url', `${url} is not an address of a server.`, { cause }));
      return;
    }
    this.#socket = socket;
    this.#departedAt ??= now();
    const { openTimeout, briefly } = this.#timing;
    const patience = () => {
      // Where there is another way, half of the time is left for that.
      const until = this.#departedAt + (brief ? openTimeout / 2 : openTimeout);
      return Math.max(Math.min(briefly, openTimeout), until - now());
    };
    const giveUp = (seconds) => {
      clearTimeout(this.#timers.open);
      this.#timers.open = setTimeout(() => this.#lost(socket), seconds * 1000);
    };
    giveUp(brief ? Math.min(briefly, openTimeout) : patience());
    socket.onopen = () => {
      if (brief) giveUp(patience());
      socket.send(JSON.stringify({ ...greeting, request: 'hello' }));
    };
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
      return await Promise.race([this.#getToken({ refused: this.#refusal, url: this.#route.stop.url }), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #greet(message, resuming) {
    clearTimeout(this.#timers.pong);
    this.#timers.pong = 0;
    if (message.type === 'redirect') {
      this.#redirected(message);
    } else if (message.type === 'waiting') {
      clearTimeout(this.#timers.open);
      this.#state = 'knocking';
      this.#route.arrived();
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
      this.#ticket = null;
      this.#route.arrived(socketUrl(message.url, this.#route.stop.url));
      this.#timers.ping = setInterval(() => this.#ping(this.#timing.pongTimeout), this.#timing.pingInterval * 1000);
      this.#emit('welcome', message);
      this.#opened.resolve();
    } else if (message.type === 'notice') {
      this.#emit('message', message);
    } else if (message.type === 'error' || (message.type === 'goodbye' && !message.resume)) {
      this.#refused(message, resuming);
    }
  }

  /** The room is at home elsewhere. */
  #redirected({ url }) {
    const address = socketUrl(url, this.#route.stop.url);
    const socket = this.#socket;
    if (!this.#route.redirected(address)) return this.#lost(socket);
    this.#drop();
    this.#resumeToken = null;
    if (this.#state === 'knocking') this.#ticket = this.#departedAt = null; // who has waited for long has an old token
    this.#emit('redirected', { url: this.#route.stop.url });
    if (this.#state === 'opening' || this.#state === 'knocking') this.#dial();
  }

  /** The server said no to `join` or `resume`. */
  #refused(message, resuming) {
    const error = AuraLinkError.from(message);
    this.#drop();
    if (resuming) {
      // The session is over there, the call need not be: join anew at once, unless told to wait.
      if (error.retryAfter) return this.#retry(error.retryAfter);
      this.#resumeToken = null;
      this.#route.enter();
      return this.#dial();
    }
    if (error.code === 'shutting_down' && this.#route.missed()) return this.#dial();
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
    // What others see of a reply comes first, so that a caller who awaits it finds its effect in place.
    if (message.type !== 'error' || !this.#replies.expects(message.request)) this.#emit('message', message);
    this.#replies.settle(message);
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
    const was = this.#state;
    this.#drop();
    if (was === 'opening' && this.#route.missed()) return this.#dial();
    if (was === 'open') {
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
    this.#timers.retry = setTimeout(() => this.#depart(), delay * 1000);
  }

  /** The network or the person is back: do not sit out a delay, and do not trust an old socket for long. */
  #nudge(patience, atOnce = false) {
    if (this.#state === 'waiting') {
      clearTimeout(this.#timers.retry);
      this.#depart();
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
    this.#replies.fail(new AuraLinkError(CONNECTION_LOST, LOST));
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

/** A message of the server's; null for anything else. @param {string} data @returns {{type: string} | null} */
export function parse(data) {
  try {
    const message = JSON.parse(data);
    return typeof message?.type === 'string' ? message : null;
  } catch {
    return null;
  }
}

const now = () => performance.now() / 1000;
