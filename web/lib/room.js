/** A room as an application sees it: who is there, what they publish, what one publishes, and that it stays so. */

import { socketUrl } from './address.js';
import { Attendance } from './attendance.js';
import { AuraLinkError } from './errors.js';
import { ModeratedRoom } from './moderation.js';
import { StatsDigest } from './stats.js';

/** @typedef {import('./publication.js').Publication} Publication */

/**
 * @typedef {object} RoomOptions
 * @property {string} [url]         of the server; by default the one that served the page. `http…` is understood
 * @property {string} [token]       the access token
 * @property {(context: {refused: AuraLinkError | null, url: string}) => string | Promise<string>} [getToken]  asked for a
 *   token at each join, also when joining anew after a lost session, or elsewhere (at `url`) when the server sends us on;
 *   `refused` tells why the server refused the last one, if it did
 * @property {'auto' | 'manual'} [subscribe]  receive all tracks (default), or only those passed to `subscribe()`
 * @property {RTCConfiguration} [rtcConfiguration]  merged over what the server says; your `iceServers` are used in place of its own
 * @property {object} [timing]      overrides in seconds, see DEFAULT_TIMING in signal.js and DEFAULT_PATIENCE in watch.js
 *
 * @typedef {object} PublishOptions
 * @property {'microphone' | 'camera' | 'screen' | 'screen_audio'} [source]  by default what fits the track's kind
 * @property {boolean} [muted]      publish it muted
 * @property {number} [maxBitrate]  bits per second
 * @property {string} [codec]       for example 'VP9'; by default VP8 and Opus
 * @property {boolean} [red]        send each sound twice, so that single losses are not heard; by default for microphones
 * @property {boolean} [dtx]        send next to nothing while nobody speaks; by default not
 */

/**
 * Every event is a CustomEvent with these fields in `detail`:
 *
 * | event | detail |
 * |---|---|
 * | `connected` | `rejoined`: whether a lost session was replaced by a new one |
 * | `reconnecting` | `attempt`, `delay` in seconds; repeated for each attempt. Media goes on meanwhile |
 * | `resumed` | – |
 * | `migrated` | `url`: one is at another instance now. People and tracks are the objects they were, with new ids |
 * | `migration-failed` | `url`, `error`: one should have gone there, and stays |
 * | `disconnected` | `code`, `message`: why it will not come back |
 * | `participant-joined`, `participant-left` | `participant`; also `reason` of leaving. Those present at `connect()` “join” too |
 * | `presence-changed` | `participant`, who is elsewhere now, or here at last, or of whom nothing is known just now |
 * | `room-replaced` | `reason`: the roster was compared with the server's after an interruption between servers |
 * | `track-published`, `track-unpublished` | `participant`, `track` |
 * | `track-subscribed`, `track-unsubscribed` | `participant`, `track`, `mediaStreamTrack`, `mediaStream` (for `srcObject`) |
 * | `track-replaced` | as `track-subscribed`: another MediaStreamTrack is in the same `mediaStream`, which plays on by itself |
 * | `muted`, `unmuted` | `participant`, `track` |
 * | `speakers` | `speakers`: participants, loudest first |
 * | `chat` | `id`, `sender`, `name`, `text`, `at` (a Date), `to` (a participant id or null), `own` |
 * | `notice` | `code`, `level` (`info` or `warning`), `message`; also while one waits to be let in |
 * | `media-state` | `state`: `connecting`, `connected`, `disconnected` or `failed` |
 * | `waiting` | –; `connect()` goes on when a moderator lets us in, and rejects when not (`denied`) |
 * | `muted-by` | `publication`, `by`: the participant who muted us, or null for somebody outside |
 * | `permissions-changed` | `permissions`, `by`. What may not be published any more has ended |
 * | `room-updated` | `locked`, `waitingRoom` |
 * | `participant-waiting`, `waiting-ended` | `waiter`; also the `reason`. For moderators |
 * | `metadata-changed` | `metadata` |
 * | `degraded` | `degradation`: something that the server depends on is away; see `degraded` |
 * | `recovered` | `dependency`, `message` (for a person; may be empty): it is back |
 * | `publish-failed` | `publication`, `error`: the server refused a track when it was offered again |
 * | `error` | `error`: an AuraLinkError that no call of a method could report |
 */
export class Room extends ModeratedRoom {
  #attendance;
  #digest = new StatsDigest();
  #onPageHide = () => this.leave();
  #onOnline = () => this.#attendance.online();

  /** What the server said of this room. @type {string} */
  name = '';
  /** What we may do. @type {{publish: string[], subscribe: boolean, chat: boolean, admin: boolean} | null} */
  permissions = null;
  /** `idle`, `connecting`, `waiting` (to be let in), `connected`, `reconnecting` or `disconnected`. */
  state = 'idle';

  /** @param {RoomOptions} options */
  constructor({ url, token, getToken, subscribe = 'auto', rtcConfiguration, timing } = {}) {
    super((message) => this.#attendance.signal.request(message));
    const address = socketUrl(url || '/', globalThis.location?.href);
    if (!address) throw new AuraLinkError('bad_url', `${url} is not an address of a server.`);
    if (!token && !getToken) throw new AuraLinkError('no_token', 'Joining needs `token` or `getToken`.');
    const options = { url: address, getToken: async (context) => (getToken ? getToken(context) : token), subscribe, rtcConfiguration, timing };
    this.#attendance = new Attendance(this, options, {
      tell: (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail })),
      over: () => {
        globalThis.removeEventListener?.('pagehide', this.#onPageHide);
        globalThis.removeEventListener?.('online', this.#onOnline);
      },
    });
  }

  /** Oneself. @returns {import('./roster.js').Participant | null} */
  get me() {
    return this.#attendance.roster.local;
  }

  /** The others. @returns {import('./roster.js').Participant[]} */
  get participants() {
    return [...this.#attendance.roster.participants.values()].filter((participant) => !participant.isLocal);
  }

  /** @returns {import('./roster.js').Participant | undefined} anybody in the room, by id */
  participant(id) {
    return this.#attendance.roster.participants.get(id);
  }

  /** What the server depends on and is away just now. @returns {import('./degradation.js').Degradation[]} empty when all is well */
  get degraded() {
    return this.#attendance.degradations.list;
  }

  /** What one publishes. @returns {Publication[]} */
  get publications() {
    return this.#attendance.publishing.list;
  }

  /** The state of the media connection. @returns {string} */
  get mediaState() {
    return this.#attendance.media.state;
  }

  /**
   * Enter the room.
   * @returns {Promise<this>} when the server has welcomed us; media may still be connecting
   * @throws {AuraLinkError} the server's refusal, or `unreachable`
   */
  async connect() {
    if (this.state !== 'idle') throw new AuraLinkError('already_connected', 'A Room connects once; make another one.');
    this.state = 'connecting';
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
    globalThis.addEventListener?.('online', this.#onOnline);
    await this.#attendance.signal.connect();
    return this;
  }

  /** Leave for good. Local tracks are not stopped: they belong to the caller. */
  leave() {
    if (this.state === 'idle') this.state = 'disconnected';
    this.#attendance.signal.close();
  }

  // ------------------------------------------------------------------------------------------ publishing

  /**
   * Publish a track. Called before `connect()`, it travels in the first offer.
   * @param {MediaStreamTrack} mediaStreamTrack
   * @param {PublishOptions} [options]
   * @returns {Promise<Publication>} when the server has accepted it
   * @throws {AuraLinkError} when the server refuses the track
   */
  async publish(mediaStreamTrack, options = {}) {
    return this.#attendance.publishing.publish(mediaStreamTrack, options);
  }

  /** Stop publishing. The track itself goes on. @param {Publication} publication */
  async unpublish(publication) {
    await this.#attendance.publishing.unpublish(publication);
  }

  /**
   * Publish another track of the same kind in place of the old one; nobody else notices.
   * @param {Publication} publication
   * @param {MediaStreamTrack} mediaStreamTrack
   */
  async replaceTrack(publication, mediaStreamTrack) {
    await this.#attendance.publishing.replace(publication, mediaStreamTrack);
  }

  /** Mute at once here, and tell the others. @param {Publication} publication */
  async mute(publication) {
    await this.#attendance.publishing.setMuted(publication, true);
  }

  /** @param {Publication} publication */
  async unmute(publication) {
    await this.#attendance.publishing.setMuted(publication, false);
  }

  // ------------------------------------------------------------------------------------------ receiving

  /** Receive tracks of others: of those who are elsewhere, as soon as they are here. @param {...string} trackIds */
  async subscribe(...trackIds) {
    await this.#attendance.choose(trackIds, true);
  }

  /** Receive them no longer. @param {...string} trackIds */
  async unsubscribe(...trackIds) {
    await this.#attendance.choose(trackIds, false);
  }

  /**
   * Say something to everybody, or to one.
   * @param {string} text
   * @param {{to?: string}} [options]  a participant's id
   * @returns {Promise<void>} when the server has passed it on; it also comes back as a `chat` event
   */
  async chat(text, { to } = {}) {
    await this.#attendance.signal.request(to ? { type: 'chat', text, to } : { type: 'chat', text });
  }

  /** @returns {Promise<import('./stats.js').Digest>} rates are since the call before */
  async stats() {
    return this.#digest.read((await this.getStats()) ?? new Map(), (mid) => this.#attendance.reception.trackOf(mid));
  }

  /** The browser's own report on the media connection. @returns {Promise<RTCStatsReport | null>} */
  async getStats() {
    return this.#attendance.media.report();
  }

  /** The RTCPeerConnection, for tinkering. It is another one after some reconnects. */
  get connection() {
    return this.#attendance.media.connection;
  }
}
