/** Which codecs an offer names: few, because every receive section repeats the list and offers grow with it. */

const RECEIVED = { audio: ['opus'], video: ['VP8', 'VP9', 'H264', 'AV1'] };
const PUBLISHED = { audio: 'opus', video: 'VP8' };

/**
 * @param {'audio' | 'video'} kind
 * @param {RTCRtpCodec[]} capabilities  what the browser can do
 * @returns {RTCRtpCodec[]} for a receive section: each codec once, in our order, then retransmission
 */
export function receiveCodecs(kind, capabilities) {
  return pick(RECEIVED[kind], capabilities);
}

/**
 * @param {'audio' | 'video'} kind
 * @param {RTCRtpCodec[]} capabilities
 * @param {string} [codec]  asked for by name, for example 'VP9'; the usual one stays as second choice
 * @returns {RTCRtpCodec[]} for a section that publishes
 */
export function publishCodecs(kind, capabilities, codec) {
  const usual = PUBLISHED[kind];
  return pick(codec && !same(codec, usual) ? [codec, usual] : [usual], capabilities);
}

function pick(names, capabilities) {
  const chosen = names.flatMap((name) => capabilities.filter((c) => same(subtype(c), name) && isPlain(c)));
  const repair = capabilities.filter((c) => same(subtype(c), 'rtx'));
  return chosen.length ? [...chosen, ...repair] : [];
}

/** Profiles that every decoder has: VP9 and AV1 profile 0, H.264 Constrained Baseline in mode 1. */
function isPlain({ mimeType, sdpFmtpLine = '' }) {
  switch (mimeType.toLowerCase()) {
    case 'video/vp9':
      return !/profile-id=[1-9]/.test(sdpFmtpLine);
    case 'video/av1':
      return !/profile=[1-9]/.test(sdpFmtpLine);
    case 'video/h264':
      return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42e0/i.test(sdpFmtpLine);
    default:
      return true;
  }
}

const subtype = (codec) => codec.mimeType.split('/')[1];
const same = (one, other) => one.toLowerCase() === other.toLowerCase();
