/** Which codecs an offer names: few, because every receive section repeats the list and offers grow with it. */

const RECEIVED = { audio: ['opus', 'red'], video: ['VP8', 'VP9', 'H264', 'AV1'] };
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
 * @param {{codec?: string, red?: boolean}} [wish]  `codec` by name, for example 'VP9': the usual one stays as second
 *   choice; `red`: repeat each sound in the packet after its own, so that single losses are not heard
 * @returns {RTCRtpCodec[]} for a section that publishes; the first is what is sent
 */
export function publishCodecs(kind, capabilities, { codec, red = false } = {}) {
  const usual = PUBLISHED[kind];
  const names = codec && !same(codec, usual) ? [codec, usual] : [usual];
  return pick(kind === 'audio' && red ? ['red', ...names] : names, capabilities);
}

function pick(names, capabilities) {
  const chosen = names.flatMap((name) => capabilities.filter((c) => same(subtype(c), name) && isPlain(c)));
  const repair = capabilities.filter((c) => same(subtype(c), 'rtx'));
  return chosen.some((c) => !same(subtype(c), 'red')) ? [...chosen, ...repair] : [];
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
