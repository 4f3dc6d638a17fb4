/** Feels whether media still arrives: a changed network is suspected long before the browser gives up on it. */

/** All in seconds. */
const LOOK = 0.4;
const CLOSER_LOOK = 0.1; // while nothing arrives
const SILENCE = 0.6; // of what used to arrive at every look: no loss and no pause for breath is that long
const STEADY = 3; // looks in a row at which something arrived

export class Pulse {
  isSilent = false;
  #pc;
  #silent;
  #timer = 0;
  #bytes = 0;
  #steady = 0;
  #heardAt = 0;

  /**
   * @param {RTCPeerConnection} pc
   * @param {() => void} silent  called once for each silence
   */
  constructor(pc, silent) {
    this.#pc = pc;
    this.#silent = silent;
    this.#heardAt = now();
    this.#next(LOOK);
  }

  close() {
    clearTimeout(this.#timer);
    this.#pc = null;
  }

  #next(seconds) {
    this.#timer = setTimeout(() => this.#look(), seconds * 1000);
  }

  async #look() {
    const report = await this.#pc.getStats?.().catch(() => null);
    if (!this.#pc || !report) return;
    let bytes = 0;
    for (const stat of report.values()) if (stat.type === 'candidate-pair') bytes += stat.bytesReceived ?? 0;
    const quiet = bytes === this.#bytes;
    if (!quiet) {
      this.#bytes = bytes;
      this.#heardAt = now();
      this.#steady += 1;
      this.isSilent = false;
    } else if (this.#steady && now() - this.#heardAt > SILENCE) {
      this.isSilent = this.#steady >= STEADY;
      this.#steady = 0;
      if (this.isSilent) this.#silent();
    }
    if (this.#pc) this.#next(quiet && this.#steady ? CLOSER_LOOK : LOOK);
  }
}

const now = () => performance.now() / 1000;
