/** What we publish, muted or not, and that the server, the others and the person here know the same of it. */

import { AuraLinkError } from './errors.js';
import { Publication } from './publication.js';

const SOURCES = { audio: 'microphone', video: 'camera' };

export class Publishing {
  /** The connection that carries it. @type {import('./media.js').Media} */
  media;
  #emit;
  #roster;
  #ask;
  #beside;
  #streams = new Map();

  /**
   * @param {{emit: (type: string, detail: object) => void, roster: import('./roster.js').Roster, media: import('./media.js').Media,
   *   ask: (message: object) => Promise<boolean>, beside: () => import('./media.js').Media | undefined}} parts
   *   `ask` tells whether the server has heard it; `beside` gives the connection that is about to take over
   */
  constructor({ emit, roster, media, ask, beside }) {
    this.media = media;
    this.#emit = emit;
    this.#roster = roster;
    this.#ask = ask;
    this.#beside = beside;
  }

  /** @returns {Publication[]} */
  get list() {
    return [...this.media.publications];
  }

  // ------------------------------------------------------------------------------------------ for the application

  /** @param {MediaStreamTrack} track @param {import('./room.js').PublishOptions} options @returns {Promise<Publication>} */
  async publish(track, { source = SOURCES[track.kind], muted = false, maxBitrate, codec, red = source === 'microphone', dtx = false }) {
    // Text and thin lines matter more on a screen than motion; an application may have chosen otherwise.
    if (source === 'screen' && !track.contentHint) track.contentHint = 'detail';
    if (muted) track.enabled = false;
    const publication = new Publication(track, { source, stream: this.#streamOf(source), muted, maxBitrate, codec, red, dtx });
    this.#beside()?.publish(publication).catch(() => {}); // told when we are there
    await this.media.publish(publication);
    return publication;
  }

  /** @param {Publication} publication */
  async unpublish(publication) {
    this.#beside()?.unpublish(publication).catch(() => {});
    await this.media.unpublish(publication);
  }

  /** @param {Publication} publication @param {MediaStreamTrack} track */
  async replace(publication, track) {
    track.enabled = !publication.muted;
    await Promise.all([this.media, this.#beside()].map((media) => media?.replace(publication, track)));
  }

  /** Mute at once here, and tell the others. @param {Publication} publication @param {boolean} muted */
  async setMuted(publication, muted) {
    publication.muted = muted;
    publication.untold = true;
    publication.track.enabled = !muted;
    if (!publication.id) return; // the offer under way says it, or the reconciliation after its answer
    this.#roster.muted(publication.id, muted);
    const told = await this.#ask({ type: muted ? 'mute' : 'unmute', track: publication.id });
    if (told && publication.muted === muted) publication.untold = false;
  }

  // ------------------------------------------------------------------------------------------ what the server says of it

  /** The others hear of our tracks by `track_published`; we learn their ids from the answer. */
  listOwn() {
    const me = this.#roster.local;
    if (!me) return;
    const { published } = this.media;
    const ids = new Set(published.map(({ id }) => id));
    for (const id of [...me.tracks.keys()]) if (!ids.has(id)) this.#roster.unpublished(id);
    for (const own of published) this.#roster.published(me.id, own);
  }

  /** After a gap: what was muted or unmuted meanwhile is told now. The local state is what the person sees. */
  reconcile() {
    for (const publication of this.list) {
      const known = this.#roster.track(publication.id);
      if (known?.muted === publication.muted) publication.untold = false;
      if (!known || known.muted === publication.muted) continue;
      if (known.muted && !publication.untold) {
        // Not our doing: a moderator muted us while we were away.
        silence(publication);
        this.#emit('muted-by', { publication, by: null });
        continue;
      }
      this.setMuted(publication, publication.muted).catch((error) => this.#emit('error', { error }));
    }
  }

  /** Somebody's track was muted or unmuted, ours perhaps. */
  mutedByServer({ track: id, muted, by }) {
    const own = this.list.find((publication) => publication.id === id);
    // A moderator may mute us; nobody else may unmute us.
    const silenced = own && muted && !own.muted;
    if (silenced) silence(own);
    this.#roster.muted(id, muted);
    if (silenced) this.#emit('muted-by', { publication: own, by: this.#roster.participants.get(by) ?? null });
  }

  /** What may not be published any more ends. @param {string[]} sources  those that may */
  restrict(sources) {
    for (const publication of this.list) {
      if (sources.includes(publication.source)) continue;
      this.unpublish(publication).catch((error) => this.#emit('error', { error }));
      const error = new AuraLinkError('permission_denied', `You may not publish your ${publication.source} any more.`);
      this.#emit('publish-failed', { publication, error });
    }
  }

  /** Microphone and camera share a stream for lip sync; screen and its sound share another. */
  #streamOf(source) {
    const group = source.startsWith('screen') ? 'screen' : 'person';
    if (!this.#streams.has(group)) this.#streams.set(group, new MediaStream());
    return this.#streams.get(group);
  }
}

function silence(publication) {
  publication.muted = true;
  publication.untold = false;
  publication.track.enabled = false;
}
