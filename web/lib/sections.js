/** The sections of one RTCPeerConnection: which publication each of the sending ones carries, and those that receive. */

import { publishCodecs, receiveCodecs } from './codecs.js';
import { Leg } from './publication.js';

/** @typedef {import('./publication.js').Publication} Publication */

const KINDS = /** @type {const} */ (['audio', 'video']);

export class Sections {
  /** Something of ours is not agreed yet. */
  changed = false;
  #pc;
  #legs = new Map(); // publication → what this connection made of it
  #receivers = { audio: [], video: [] };
  #senders = new Map(); // transceiver → publication, or null when free for another

  /** @param {RTCPeerConnection} pc */
  constructor(pc) {
    this.#pc = pc;
  }

  /** What this connection made of a publication. @param {Publication} publication @returns {Leg} */
  leg(publication) {
    if (!this.#legs.has(publication)) this.#legs.set(publication, new Leg());
    return this.#legs.get(publication);
  }

  /** What was refused, and why. @returns {[Publication, AuraLinkError][]} */
  get refused() {
    return [...this.#legs].filter(([, { error }]) => error).map(([publication, { error }]) => [publication, error]);
  }

  /** @param {Publication} publication */
  forget(publication) {
    this.#legs.delete(publication);
  }

  /** The transceiver of section `mid`, if an answer has confirmed that it receives. @returns {RTCRtpTransceiver | undefined} */
  receiverOf(mid) {
    return KINDS.flatMap((kind) => this.#receivers[kind]).find((t) => t.mid === mid && t.currentDirection === 'recvonly');
  }

  /**
   * Make sections for what is published and wanted, and silence those of what ended.
   * @param {Set<Publication>} publications @param {{audio: number, video: number}} wanted  receive sections in total
   */
  async prepare(publications, wanted) {
    for (const [transceiver, publication] of this.#senders) {
      if (publication && !publications.has(publication)) {
        transceiver.direction = 'inactive';
        this.#legs.delete(publication);
        this.#senders.set(transceiver, null);
        this.changed = true;
      }
    }
    for (const publication of publications) {
      if (!this.leg(publication).transceiver) await this.#addSender(publication);
    }
    for (const kind of KINDS) {
      while (this.#receivers[kind].length < wanted[kind]) {
        const transceiver = this.#pc.addTransceiver(kind, { direction: 'recvonly' });
        prefer(transceiver, receiveCodecs(kind, capable(kind)));
        this.#receivers[kind].push(transceiver);
        this.changed = true;
      }
    }
  }

  /** The server does not take a publication. @param {Publication} publication @param {AuraLinkError} error */
  refuse(publication, error) {
    const leg = this.leg(publication);
    const { transceiver } = leg;
    Object.assign(leg, { error, id: null, transceiver: null });
    transceiver.direction = 'inactive';
    transceiver.sender.replaceTrack(null).catch(() => {});
    this.#senders.set(transceiver, null);
  }

  async #addSender(publication) {
    const { track, stream, maxBitrate, codec, red } = publication;
    const free = [...this.#senders].find(
      // Only one whose end has been agreed on: otherwise the server could take the new track for the old one.
      ([t, owner]) => !owner && t.currentDirection === 'inactive' && t.receiver.track.kind === track.kind,
    );
    let transceiver = free?.[0];
    if (transceiver) {
      await transceiver.sender.replaceTrack(track);
      transceiver.sender.setStreams?.(stream);
      transceiver.direction = 'sendonly';
    } else {
      const sendEncodings = [maxBitrate ? { maxBitrate } : {}];
      transceiver = this.#pc.addTransceiver(track, { direction: 'sendonly', streams: [stream], sendEncodings });
    }
    prefer(transceiver, publishCodecs(track.kind, capable(track.kind), { codec, red }));
    this.leg(publication).transceiver = transceiver;
    this.#senders.set(transceiver, publication);
    this.changed = true;
  }
}

const capable = (kind) => globalThis.RTCRtpReceiver?.getCapabilities?.(kind)?.codecs ?? [];

function prefer(transceiver, codecs) {
  if (!codecs.length) return;
  try {
    transceiver.setCodecPreferences?.(codecs);
  } catch {
    // A browser that refuses the list offers its own; the server chooses from whatever is offered.
  }
}
