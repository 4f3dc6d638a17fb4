/** One track that we publish, whatever connection carries it; for a moment of a move, two do. */

/** What one connection has made of a publication. */
export class Leg {
  /** @type {RTCRtpTransceiver | null} */
  transceiver = null;
  /** @type {string | null} */
  id = null;
  /** @type {AuraLinkError | null} */
  error = null;
  /** What the last offer said; `muted` may have changed since. */
  mutedInOffer = false;
}

export class Publication {
  /** The room's name for it, null until an answer has given one. @type {string | null} */
  id = null;
  /** We muted or unmuted it, and the server has not confirmed that. */
  untold = false;

  constructor(track, { source, stream, muted = false, maxBitrate, codec, red, dtx }) {
    Object.assign(this, { track, source, stream, muted, maxBitrate, codec, red, dtx });
  }

  get kind() {
    return this.track.kind;
  }

  /** Wishes that browsers accept only after the answer, and that a browser may not know. */
  async tune(transceiver) {
    const { source, maxBitrate } = this;
    const parameters = transceiver.sender.getParameters();
    let changed = false;
    if (source === 'screen' && parameters.degradationPreference !== 'maintain-resolution') {
      parameters.degradationPreference = 'maintain-resolution';
      changed = true;
    }
    const encoding = parameters.encodings?.[0];
    if (encoding && encoding.maxBitrate !== maxBitrate) {
      encoding.maxBitrate = maxBitrate;
      if (maxBitrate === undefined) delete encoding.maxBitrate;
      changed = true;
    }
    if (changed) await transceiver.sender.setParameters(parameters).catch(() => {});
  }
}
