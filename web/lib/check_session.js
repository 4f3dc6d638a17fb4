/** One pre-call test at the server: a WebSocket that is in no room, and may ping, offer and leave. */

import { AuraLinkError } from './errors.js';
import { Replies } from './replies.js';
import { SUBPROTOCOL, parse } from './signal.js';

export class CheckSession {
  /** What `checking` handed out. @type {RTCIceServer[]} */
  iceServers = [];
  #socket;
  #ended = null;
  #replies = new Replies(() => new AuraLinkError('unreachable', 'The server does not answer in time.'));

  /**
   * @param {string} url    of the WebSocket
   * @param {string} token
   * @param {number} patience  seconds
   * @returns {Promise<CheckSession>}
   * @throws {AuraLinkError} `unreachable`, or the server's refusal
   */
  static async open(url, token, patience) {
    const session = new CheckSession(url);
    try {
      session.iceServers = (await session.#begin(token, patience)).ice_servers;
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  constructor(url) {
    this.#socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket.onclose = () => this.#end(new AuraLinkError('unreachable', 'The connection to the server does not hold.'));
    this.#socket.onmessage = ({ data }) => this.#receive(data);
  }

  /** Send and wait for the reply. @returns {Promise<object>} @throws {AuraLinkError} */
  request(message, patience) {
    if (this.#ended) return Promise.reject(this.#ended);
    const { request, reply } = this.#replies.expect(message.type, patience);
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

  /** The request that is made as soon as the socket is open. */
  #begin(token, patience) {
    const { request, reply } = this.#replies.expect('check', patience);
    this.#socket.onopen = () => this.#send({ type: 'check', token, request });
    return reply;
  }

  #send(message) {
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #receive(data) {
    const message = parse(data);
    if (!message) return;
    const isRefusal = message.type === 'error' && !this.#replies.expects(message.request);
    if (isRefusal || message.type === 'goodbye') this.#end(AuraLinkError.from(message));
    else this.#replies.settle(message);
  }

  #end(error) {
    this.#ended ??= error;
    this.#replies.fail(error);
  }
}
