/** A digest of getStats(): what a connection indicator and a curious person need, bounded by the number of tracks. */

/**
 * @typedef {object} Digest
 * @property {number | null} rtt      seconds to the server and back on the media path
 * @property {number} up              bits per second sent
 * @property {number} down            bits per second received
 * @property {number | null} loss     share of packets lost towards us since the digest before, 0 to 1
 * @property {number | null} available  bits per second the browser believes it could send
 * @property {'good' | 'fair' | 'poor' | 'unknown'} quality
 * @property {Outbound[]} outbound    one per published track that is sending
 * @property {Inbound[]} inbound      one per receive section that has received something
 *
 * @typedef {{mid: string, kind: string, bitrate: number, framesEncoded: number, width: number, height: number,
 *   packetsSent: number, limitedBy: string}} Outbound
 * @typedef {{mid: string, track: string | null, kind: string, bitrate: number, framesDecoded: number, width: number,
 *   height: number, packetsReceived: number, packetsLost: number, jitter: number, audioLevel: number,
 *   totalAudioEnergy: number}} Inbound
 */

export class StatsDigest {
  #before = new Map();

  /**
   * @param {RTCStatsReport} report
   * @param {(mid: string) => string | undefined} trackOf  which track plays in a receive section
   * @returns {Digest}
   */
  read(report, trackOf) {
    const seen = new Map();
    const rate = (stat, field) => {
      const before = this.#before.get(stat.id);
      seen.set(stat.id, stat);
      const elapsed = before ? (stat.timestamp - before.timestamp) / 1000 : 0;
      return elapsed > 0 ? Math.max(0, Math.round(((stat[field] - before[field]) * 8) / elapsed)) : 0;
    };
    const growth = (stat, field) => Math.max(0, (stat[field] ?? 0) - (this.#before.get(stat.id)?.[field] ?? 0));
    const digest = { rtt: null, up: 0, down: 0, loss: null, available: null, quality: 'unknown', outbound: [], inbound: [] };
    let received = 0;
    let lost = 0;
    for (const stat of report.values()) {
      if (stat.type === 'candidate-pair' && stat.nominated && stat.state === 'succeeded') {
        digest.rtt = stat.currentRoundTripTime ?? digest.rtt;
        digest.available = stat.availableOutgoingBitrate ?? digest.available;
      } else if (stat.type === 'outbound-rtp') {
        const bitrate = rate(stat, 'bytesSent');
        digest.up += bitrate;
        digest.outbound.push({
          mid: stat.mid,
          kind: stat.kind,
          bitrate,
          packetsSent: stat.packetsSent ?? 0,
          framesEncoded: stat.framesEncoded ?? 0,
          width: stat.frameWidth ?? 0,
          height: stat.frameHeight ?? 0,
          limitedBy: stat.qualityLimitationReason ?? 'none',
        });
      } else if (stat.type === 'inbound-rtp') {
        received += growth(stat, 'packetsReceived');
        lost += growth(stat, 'packetsLost');
        const bitrate = rate(stat, 'bytesReceived');
        digest.down += bitrate;
        digest.inbound.push({
          mid: stat.mid,
          track: trackOf(stat.mid) ?? null,
          kind: stat.kind,
          bitrate,
          packetsReceived: stat.packetsReceived ?? 0,
          packetsLost: stat.packetsLost ?? 0,
          jitter: stat.jitter ?? 0,
          framesDecoded: stat.framesDecoded ?? 0,
          width: stat.frameWidth ?? 0,
          height: stat.frameHeight ?? 0,
          audioLevel: stat.audioLevel ?? 0,
          totalAudioEnergy: stat.totalAudioEnergy ?? 0,
        });
      }
    }
    this.#before = seen;
    if (received + lost > 0) digest.loss = lost / (received + lost);
    digest.quality = quality(digest);
    return digest;
  }
}

/** Bounds at which people begin to notice, and to suffer. */
export function quality({ rtt, loss }) {
  if (rtt === null && loss === null) return 'unknown';
  if ((rtt ?? 0) > 0.4 || (loss ?? 0) > 0.08) return 'poor';
  if ((rtt ?? 0) > 0.2 || (loss ?? 0) > 0.02) return 'fair';
  return 'good';
}
