/** Where to knock next: at home first, briefly; else at the entrance, which may send us on. Pure. */

const MOST_REDIRECTS = 3; // in a row

/**
 * A round of attempts goes from stop to stop without a delay, until we are in or no stop is left. `url` is where to
 * knock; `brief`, that it is given up soon, for there is another way; `stay`, to ask to be let in there and not be sent on.
 * @typedef {{url: string, brief: boolean, stay: boolean}} Stop
 */

export class Route {
  /** What we were given first; behind a load balancer it leads to any instance. @type {string} */
  entry;
  /** Where the instance that knows our session answers. @type {string | null} */
  home = null;
  /** @type {Stop} */
  stop;
  #redirects = 0;
  #missed = new Set(); // in this round
  #avoid; // where not to be sent before we are in

  /** @param {string} entry @param {string | null} [avoid]  where nobody is to go any more, whoever sends us there */
  constructor(entry, avoid = null) {
    this.entry = entry;
    this.#avoid = avoid;
    this.enter();
  }

  /** A round begins. @param {boolean} resuming  only home knows our session, but home may answer at the entrance, too */
  begin(resuming) {
    this.#redirects = 0;
    this.#missed.clear();
    this.enter();
    if (resuming && this.home && this.home !== this.entry) this.stop = { url: this.home, brief: true, stay: false };
  }

  /** Nobody knows our session any more: next is the entrance, to join. */
  enter(stay = false) {
    this.stop = { url: this.entry, brief: false, stay };
  }

  /**
   * The instance at this stop sends us on.
   * @param {string | null} url  null if it is no address
   * @returns {boolean} whether there is a next stop; not if we asked to stay
   */
  redirected(url) {
    if (this.stop.stay) return false;
    this.#redirects += 1;
    if (!url || url === this.#avoid || this.#missed.has(url) || this.#redirects > MOST_REDIRECTS) this.enter(true);
    else this.stop = { url, brief: true, stay: false };
    return true;
  }

  /** Nobody can be reached at this stop, or nobody is taken there any more. @returns {boolean} whether there is another stop */
  missed() {
    if (!this.stop.brief) return false;
    this.#missed.add(this.stop.url);
    this.enter(this.#redirects > 0);
    return true;
  }

  /** The instance at this stop talks to us: the next round begins anew. @param {string | null} [home]  where it says that it is */
  arrived(home) {
    this.#redirects = 0;
    this.#avoid = null;
    this.home = home ?? this.stop.url;
  }
}
