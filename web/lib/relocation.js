/** Going on at another instance: one move at a time, and what is left behind here, while it lingers. */

import { Move } from './move.js';

const LINGER = 3; // seconds that one is still seen at the instance one has left, by those who are on their way

export class Relocation {
  /** The move that is under way. @type {Move | null} */
  move = null;
  #arrived;
  #stayed;
  #gone = new Map(); // who left while we are about to follow: participant id → reason
  #before = null; // the stay that we have moved away from
  #ended = null; // why the session here ended while we are on our way

  /**
   * @param {{arrived: (move: Move) => void, stayed: (failure: {url: string, error: AuraLinkError,
   *   gone: [string, string][], ended: AuraLinkError | null}) => void}} act  `gone`: who left meanwhile, with the reason;
   *   `ended`: why there is no session here either
   */
  constructor({ arrived, stayed }) {
    this.#arrived = arrived;
    this.#stayed = stayed;
  }

  /** The server sends us on: be there before we leave here. @param {import('./move.js').Stay} stay */
  async follow(stay) {
    if (this.move && this.move.url === stay.url) return;
    this.move?.cancel();
    const move = new Move(stay);
    this.move = move;
    let failure = null;
    try {
      await move.run();
    } catch (error) {
      failure = error;
    }
    if (this.move !== move) return;
    this.move = null;
    const gone = [...this.#gone];
    this.#gone.clear();
    if (failure) this.#stayed({ url: move.url, error: failure, gone, ended: this.#ended });
    else this.#arrived(move);
    this.#ended = null;
  }

  /** Somebody left who goes where we go: we shall meet again in a moment. @returns {boolean} */
  meets(participant, reason) {
    if (reason !== 'migrated' || !this.move) return false;
    this.#gone.set(participant, reason);
    return true;
  }

  /** Whether somebody is gone whom we shall meet again. */
  awaits(participant) {
    return this.#gone.has(participant);
  }

  /** The session here ended because the one there took its place. @returns {boolean} whether that may be: then we go on there */
  isReplaced(error) {
    if (error.code !== 'replaced' || !this.move) return false;
    this.#ended = error;
    this.move.isContent = true;
    return true;
  }

  /** The stay here is over, and lingers for those who are still on their way. */
  leave(signal, media) {
    this.leaveBehind();
    const before = { signal, media, timer: setTimeout(() => this.leaveBehind(), LINGER * 1000) };
    signal.addEventListener('lost', () => this.#before === before && this.leaveBehind());
    this.#before = before;
  }

  leaveBehind() {
    if (!this.#before) return;
    const { signal, media, timer } = this.#before;
    this.#before = null;
    clearTimeout(timer);
    signal.close('migrated');
    media.close();
  }

  /** No more moves. */
  end() {
    this.move?.cancel();
    this.move = null;
    this.leaveBehind();
  }
}
