/** What moderators may do in a room, what everybody learns of it, and who waits outside. */

/** Somebody who waits to be let in. @typedef {{id: string, identity: string, name: string}} Waiter */

/** The base of Room. Its methods need `permissions.admin`; each rejects with AuraLinkError, `permission_denied` without it. */
export class ModeratedRoom extends EventTarget {
  /** Nobody new is let in but moderators. */
  locked = false;
  /** Whoever is new waits until a moderator lets them in. */
  waitingRoom = false;
  /** What is written at the room, `title` for example. @type {Record<string, string>} */
  metadata = {};
  #waiting = new Map();
  #ask;

  /** @param {(message: object) => Promise<object>} ask  sends a request */
  constructor(ask) {
    super();
    this.#ask = ask;
  }

  /** Who waits now; moderators alone are told. @returns {Waiter[]} */
  get waiting() {
    return [...this.#waiting.values()];
  }

  /** Stop somebody's track for everybody, until its owner unmutes it. @param {string} track  its id */
  muteTrack(track) {
    return this.#do({ type: 'mute_track', track });
  }

  /** Send somebody out; the token they have lets them in no more. @param {string} participant  id @param {string} [reason] */
  remove(participant, reason = '') {
    return this.#do({ type: 'remove', participant, reason });
  }

  /** Send somebody out and keep them out. @param {{participant?: string, identity?: string, reason?: string}} whom */
  ban({ participant, identity, reason = '' }) {
    return this.#do({ type: 'ban', participant, identity, reason });
  }

  /** @param {string} identity */
  unban(identity) {
    return this.#do({ type: 'unban', identity });
  }

  lock() {
    return this.#do({ type: 'lock' });
  }

  unlock() {
    return this.#do({ type: 'unlock' });
  }

  /** @param {boolean} on */
  setWaitingRoom(on) {
    return this.#do({ type: 'waiting_room', on });
  }

  /** Write at the room; fields that are not named stay. @param {Record<string, string | null>} metadata  null takes a field away */
  setMetadata(metadata) {
    return this.#do({ type: 'set_metadata', metadata });
  }

  /**
   * Change what somebody may do; what is not named stays.
   * @param {string} participant  id
   * @param {{publish?: string[], subscribe?: boolean, chat?: boolean, admin?: boolean}} permissions
   */
  setPermissions(participant, { publish, subscribe, chat, admin }) {
    return this.#do({ type: 'set_permissions', participant, publish, subscribe, chat, admin });
  }

  /** Let somebody in who waits. @param {string} id */
  admit(id) {
    return this.#do({ type: 'admit', participant: id });
  }

  /** Send somebody away who waits. @param {string} id */
  deny(id) {
    return this.#do({ type: 'deny', participant: id });
  }

  async #do(message) {
    await this.#ask(message);
  }

  /** A session began or goes on: this is how the room is now. For Room. */
  settle(room) {
    this.#set(room);
    this.#waiting.clear(); // those who still wait are told of next
  }

  /** This is how the room is now; what differs is told. For Room. */
  update(room) {
    const { settings, metadata } = this.#set(room);
    if (settings) this.#tell('room-updated', { locked: this.locked, waitingRoom: this.waitingRoom });
    if (metadata) this.#tell('metadata-changed', { metadata: this.metadata });
  }

  /** @returns {{settings: boolean, metadata: boolean}} whether they differ from before */
  #set({ locked = false, waiting_room: waitingRoom = false, metadata = {} }) {
    const before = [this.locked, this.waitingRoom, text(this.metadata)];
    Object.assign(this, { locked, waitingRoom, metadata });
    return { settings: before[0] !== locked || before[1] !== waitingRoom, metadata: before[2] !== text(metadata) };
  }

  /** What the server says of moderation. For Room. @returns {boolean} whether it was about that */
  moderated(message) {
    const { type, participant: id } = message;
    if (type === 'room_updated') {
      this.update(message);
    } else if (type === 'participant_waiting') {
      const waiter = { id, identity: message.identity, name: message.name || message.identity };
      this.#waiting.set(id, waiter);
      this.#tell('participant-waiting', { waiter });
    } else if (type === 'waiting_ended') {
      const waiter = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (waiter) this.#tell('waiting-ended', { waiter, reason: message.reason });
    } else {
      return false;
    }
    return true;
  }

  /** One is no moderator any more. For Room. */
  demoted() {
    this.#waiting.clear();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const text = (metadata) => JSON.stringify(Object.entries(metadata).sort());
