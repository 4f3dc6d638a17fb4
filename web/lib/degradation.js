/** What the server depends on and is away just now: one entry for each dependency, and what that makes of people elsewhere. Pure. */

/**
 * @typedef {object} Degradation
 * @property {string} dependency  for example `redis`
 * @property {string} mode        for example `standalone`, `reconciling`
 * @property {string} reason
 * @property {Date} since
 * @property {string} message     for a person
 */

/** While it is one of these, nothing is heard of people at other instances. */
const CUT_OFF = new Set(['standalone', 'reconciling']);

export class Degradations {
  #known = new Map();
  #roster;
  #emit;

  /** @param {import('./roster.js').Roster} roster @param {(type: string, detail: object) => void} emit */
  constructor(roster, emit) {
    this.#roster = roster;
    this.#emit = emit;
  }

  /** @returns {Degradation[]} empty when all is well; the one that lasts longest first */
  get list() {
    return [...this.#known.values()].sort((a, b) => a.since - b.since);
  }

  get #isCutOff() {
    return CUT_OFF.has(this.#known.get('redis')?.mode);
  }

  /** @param {object} told  as the server tells it */
  begin(told) {
    const degradation = { ...told, since: new Date(told.since * 1000) };
    if (JSON.stringify(this.#known.get(told.dependency)) === JSON.stringify(degradation)) return;
    const wasCutOff = this.#isCutOff;
    this.#known.set(told.dependency, degradation);
    if (this.#isCutOff && !wasCutOff) this.#roster.doubt();
    this.#emit('degraded', { degradation });
  }

  /** @param {{dependency: string, message?: string}} told */
  end({ dependency, message = '' }) {
    if (!this.#known.delete(dependency)) return;
    if (!this.#isCutOff) this.#roster.trust();
    this.#emit('recovered', { dependency, message });
  }

  /** A session began or goes on. @param {object[]} [told]  all that is away */
  settle(told = []) {
    const away = new Set(told.map(({ dependency }) => dependency));
    for (const dependency of [...this.#known.keys()]) if (!away.has(dependency)) this.end({ dependency });
    for (const degradation of told) this.begin(degradation);
    if (this.#isCutOff) this.#roster.doubt(); // the roster is newer than what we knew
  }
}
