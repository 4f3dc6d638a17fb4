/** Which track plays in which receive section: the last map the server sent, and what of it is playing now. */

export class SlotMap {
  /** The last whole map: mid → track id or null. It may name mids that no answer has confirmed yet. */
  #wanted = new Map();
  /** What plays now: mid → track id. */
  #playing = new Map();

  /** @param {{mid: string, track: string | null}[]} slots  the whole map; replaces the one before */
  replace(slots) {
    this.#wanted = new Map(slots.map(({ mid, track }) => [mid, track]));
  }

  /**
   * Move what plays towards the map. Call again whenever a mid or a track may have become known.
   * @param {(mid: string, track: string) => boolean} playable  whether both are known by now
   * @returns {{ended: [string, string][], begun: [string, string][]}} pairs of mid and track; `ended` comes first
   */
  apply(playable) {
    const ended = [...this.#playing].filter(([mid, track]) => this.#wanted.get(mid) !== track || !playable(mid, track));
    for (const [mid] of ended) this.#playing.delete(mid);
    const begun = [...this.#wanted].filter(([mid, track]) => track && !this.#playing.has(mid) && playable(mid, track));
    for (const [mid, track] of begun) this.#playing.set(mid, track);
    return { ended, begun };
  }

  /** Forget everything, as a new connection numbers its sections anew. Returns what was playing. */
  clear() {
    const ended = [...this.#playing];
    this.#playing.clear();
    this.#wanted.clear();
    return ended;
  }

  isPlaying(track) {
    return [...this.#playing.values()].includes(track);
  }

  /** @returns {string | undefined} the section that shall carry a track */
  midOf(track) {
    return [...this.#wanted].find(([, wanted]) => wanted === track)?.[0];
  }

  /** @returns {string | undefined} the track that plays in section `mid` */
  trackOf(mid) {
    return this.#playing.get(mid);
  }
}
