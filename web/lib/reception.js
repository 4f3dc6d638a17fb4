/** What of the others plays here: the slot map and the tracks that are known, told as tracks that begin and end. */

import { SlotMap } from './slots.js';

export class Reception {
  /** The connection that the tracks arrive on. @type {import('./media.js').Media} */
  media;
  /** Whether to go on with a track though its slot ended, for it comes back in a moment. */
  holds = () => false;
  #emit;
  #roster;
  #manual;
  #slots = new SlotMap();
  #playing = new Map(); // tracks that were announced as subscribed, some of which the roster may have dropped since
  #wanted = new Set(); // tracks asked for by hand
  #refused = new Set(); // tracks declined by hand

  /**
   * @param {{emit: (type: string, detail: object) => void, roster: import('./roster.js').Roster,
   *   media: import('./media.js').Media, subscribe: 'auto' | 'manual'}} parts
   */
  constructor({ emit, roster, media, subscribe }) {
    this.media = media;
    this.#emit = emit;
    this.#roster = roster;
    this.#manual = subscribe === 'manual';
  }

  /** @returns {import('./roster.js').Track[]} */
  get playing() {
    return [...this.#playing.values()];
  }

  /** @returns {string | undefined} the track that plays in section `mid` */
  trackOf(mid) {
    return this.#slots.trackOf(mid);
  }

  // ------------------------------------------------------------------------------------------ what is chosen by hand

  /** @param {string[]} ids @param {boolean} wanted @returns {string[]} those that can be had here, or are unknown */
  choose(ids, wanted) {
    const [add, remove] = wanted ? [this.#wanted, this.#refused] : [this.#refused, this.#wanted];
    for (const track of ids.map((id) => this.#roster.track(id)).filter(Boolean)) {
      add.add(track);
      remove.delete(track);
    }
    return ids.filter((id) => this.#roster.track(id)?.isReceivable ?? true);
  }

  /** What differs from what a new session delivers by itself. @returns {import('./roster.js').Track[]} */
  get chosen() {
    return [...(this.#manual ? this.#wanted : this.#refused)].filter((track) => this.#roster.track(track.id) === track);
  }

  /** The request that repeats what was chosen, in a new session or as somebody comes here; null without a choice. */
  get choice() {
    const tracks = this.chosen.filter(({ isReceivable }) => isReceivable).map(({ id }) => id);
    return tracks.length ? { type: this.#manual ? 'subscribe' : 'unsubscribe', tracks } : null;
  }

  // ------------------------------------------------------------------------------------------ what plays

  /** Let what plays follow the slot map, as far as its sections and tracks are known. @param {object[]} [slots]  another map */
  play(slots) {
    if (slots) this.#slots.replace(slots);
    const { ended, begun } = this.#slots.apply((mid, id) => this.media.trackOf(mid) && this.#roster.track(id));
    for (const [, id] of ended) if (!this.holds(this.#playing.get(id))) this.#stop(id);
    for (const [mid, id] of begun) {
      const track = this.#roster.track(id);
      const before = track.mediaStreamTrack;
      track.mid = mid;
      track.mediaStreamTrack = this.media.trackOf(mid);
      if (this.#playing.has(id)) {
        // Away with the old one first: Firefox selects a track that is added only if there is none.
        track.mediaStream.removeTrack(before);
        track.mediaStream.addTrack(track.mediaStreamTrack);
        this.#emit('track-replaced', about(track));
        continue;
      }
      track.mediaStream = new MediaStream([track.mediaStreamTrack]);
      this.#playing.set(id, track);
      this.#emit('track-subscribed', about(track));
    }
  }

  /** A track ended: its slot follows in a moment, but nobody should wait for that. @param {string} id */
  forget(id) {
    const track = this.#roster.track(id);
    this.#wanted.delete(track);
    this.#refused.delete(track);
    this.#stop(id);
  }

  /** The connection is another one, whose sections have other names. */
  clear() {
    for (const [, id] of this.#slots.clear()) this.#stop(id);
  }

  /** Go on with another connection and its slot map, after `rename` gave all tracks the ids that they have there. */
  takeOver({ media, slots }, rename) {
    const playing = this.playing;
    rename();
    this.media = media;
    this.#slots = slots;
    this.#playing = new Map(playing.map((track) => [track.id, track]));
    this.play();
    for (const id of [...this.#playing.keys()]) if (!slots.isPlaying(id)) this.#stop(id);
  }

  #stop(id) {
    const track = this.#playing.get(id);
    if (!track) return;
    this.#playing.delete(id);
    const detail = about(track);
    track.mid = track.mediaStreamTrack = track.mediaStream = null;
    this.#emit('track-unsubscribed', detail);
  }
}

const about = (track) => ({
  participant: track.participant,
  track,
  mediaStreamTrack: track.mediaStreamTrack,
  mediaStream: track.mediaStream,
});
