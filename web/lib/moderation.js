/** What moderators may do in a room, what everybody learns of it, and who waits outside. */

/** Somebody who waits to be let in. @typedef {{id: string, identity: string, name: string}} Waiter */

/** The base of Room. Its methods need `permissions.admin`; each rejects with AuraLinkError, `permission_denied` without it. */
export class ModeratedRoom extends EventTarget {
  /** Nobody new is let in but moderators. */
  locked = false;
  /** Whoever is new waits until a moderator lets them in. */
  waitingRoom = false;
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
  settle({ locked = false, waiting_room: waitingRoom = false }) {
    Object.assign(this, { locked, waitingRoom });
    this.#waiting.clear(); // those who still wait are told of next
  }

  /** What the server says of moderation. For Room. @returns {boolean} whether it was about that */
  moderated(message) {
    const { type, participant: id } = message;
    if (type === 'room_updated') {
      Object.assign(this, { locked: message.locked, waitingRoom: message.waiting_room });
      this.#tell('room-updated', { locked: this.locked, waitingRoom: this.waitingRoom });
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
