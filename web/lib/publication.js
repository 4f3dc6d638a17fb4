/** One track that we publish, whatever connection carries it. */

export class Publication {
  /** The room's name for it, null until an answer has given one. @type {string | null} */
  id = null;
  error = null;
  /** What the last offer said; `muted` may have changed since. */
  mutedInOffer = false;
  /** @type {RTCRtpTransceiver | null} */
  transceiver = null;

  constructor(track, { source, stream, muted = false, maxBitrate, codec, red, dtx }) {
    Object.assign(this, { track, source, stream, muted, maxBitrate, codec, red, dtx });
  }

  get kind() {
    return this.track.kind;
  }

  /** Wishes that browsers accept only after the answer, and that a browser may not know. */
  async tune() {
    const { transceiver, source, maxBitrate } = this;
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
