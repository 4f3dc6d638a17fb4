/** One pre-call test at the server: a WebSocket that is in no room, and may ping, offer and leave. */

import { deferred } from './coalescer.js';
import { AuraLinkError } from './errors.js';
import { SUBPROTOCOL } from './signal.js';

export class CheckSession {
  /** What `checking` handed out. @type {RTCIceServer[]} */
  iceServers = [];
  #socket;
  #ended = null;
  #requests = new Map();
  #next = 1;

  /**
   * @param {string} url    of the WebSocket
   * @param {string} token
   * @param {number} patience  seconds
   * @returns {Promise<CheckSession>}
   * @throws {AuraLinkError} `unreachable`, or the server's refusal
   */
  static async open(url, token, patience) {
    const session = new CheckSession(url, token);
    try {
      session.iceServers = (await session.#reply('hello', patience)).ice_servers;
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  constructor(url, token) {
    this.#socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket.onopen = () => this.#send({ type: 'check', token, request: 'hello' });
    this.#socket.onclose = () => this.#end(new AuraLinkError('unreachable', 'The connection to the server does not hold.'));
    this.#socket.onmessage = ({ data }) => this.#receive(data);
  }

  /** Send and wait for the reply. @returns {Promise<object>} @throws {AuraLinkError} */
  request(message, patience) {
    const request = String(this.#next++);
    const reply = this.#reply(request, patience);
    this.#send({ ...message, request });
    return reply;
  }

  /** Seconds of one question and its answer; null if none came. */
  async ping(patience) {
    const start = performance.now();
    const reply = await this.request({ type: 'ping' }, patience).catch(() => null);
    return reply && (performance.now() - start) / 1000;
  }

  close() {
    this.#send({ type: 'leave' });
    this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket.close();
    this.#end(new AuraLinkError('aborted', 'The test was ended.'));
  }

  #send(message) {
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #reply(request, patience) {
    const pending = deferred();
    const timeout = () => pending.reject(new AuraLinkError('unreachable', 'The server does not answer in time.'));
    const timer = setTimeout(timeout, patience * 1000);
    this.#requests.set(request, pending);
    if (this.#ended) pending.reject(this.#ended);
    return pending.promise.finally(() => {
      clearTimeout(timer);
      this.#requests.delete(request);
    });
  }

  #receive(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    const pending = this.#requests.get(message?.request);
    if (message?.type === 'error') {
      const error = AuraLinkError.from(message);
      if (pending) pending.reject(error);
      else this.#end(error);
    } else if (message?.type === 'goodbye') this.#end(AuraLinkError.from(message));
    else pending?.resolve(message);
  }

  #end(error) {
    this.#ended ??= error;
    for (const pending of this.#requests.values()) pending.reject(error);
  }
}
