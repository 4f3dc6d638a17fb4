/** Watches one connection's state and says when to be patient, when to restart ICE and when to build a new connection. */

/** All in seconds. */
export const DEFAULT_PATIENCE = {
  disturbed: 2, // Firefox passes through `connecting` at each offer that adds sections: that is no disturbance
  lost: 0.3, // a browser that says `disconnected` has waited already
  restart: 8, // an ICE restart that has not helped by then will not
  connect: 15, // from the first answer to `connected`
};

export class ConnectionWatch {
  #patience;
  #act;
  #clock;
  #timer = 0;
  #state = 'new';
  #shown = 'new';
  #restarting = false;
  #wasConnected = false;

  /**
   * @param {{restart: () => void, rebuild: () => void, hurry: () => void, show: (state: string) => void}} act  `hurry`: build a
   *   new connection before this one has had its time
   * @param {object} [patience]  overrides of DEFAULT_PATIENCE
   * @param {{setTimeout: Function, clearTimeout: Function}} [clock]
   */
  constructor(act, patience, clock = globalThis) {
    this.#act = act;
    this.#patience = { ...DEFAULT_PATIENCE, ...patience };
    this.#clock = clock;
  }

  /** @param {RTCPeerConnectionState} state  as the connection reports it */
  observe(state) {
    this.#state = state;
    if (state === 'connected') {
      this.#wasConnected = true;
      this.#restarting = false;
      this.#after(0, null);
      this.#show('connected');
    } else if (state === 'failed') {
      this.#show('failed');
      this.#recover();
    } else if (state === 'disconnected' || state === 'connecting') {
      if (this.#restarting) return; // the timer of the restart is running
      const patience = state === 'disconnected' ? this.#patience.lost : this.#patience.disturbed;
      if (this.#wasConnected) this.#after(patience, () => this.#disturbed());
      else {
        this.#show('connecting');
        this.#after(this.#patience.connect, this.#act.rebuild);
      }
    }
  }

  /** What the server sees: it waits long enough before it says that it hears nothing of us any more. */
  observeServer(state) {
    if (state === 'disconnected' && !this.#restarting) this.#disturbed();
    if (state === 'connected' && this.#state === 'connected') this.observe('connected');
  }

  /** Whoever noticed it: restart at once, also if a restart is under way, which may have gathered the old addresses. */
  networkChanged() {
    if (!this.#wasConnected) return;
    this.#restarting = false;
    this.#disturbed();
  }

  /**
   * There are other relays than before. A connection in trouble tries them at once, and one that never came up starts
   * over if it `mayHurry`, as it gathered without them; one that works is left alone.
   * @param {boolean} mayHurry
   */
  serversChanged(mayHurry) {
    if (this.#shown === 'connected') return;
    if (this.#wasConnected) this.networkChanged();
    else if (mayHurry) this.#act.hurry();
  }

  close() {
    this.#after(0, null);
    this.#act = { restart() {}, rebuild() {}, hurry() {}, show() {} };
  }

  #disturbed() {
    this.#show('disconnected');
    this.#recover();
  }

  #recover() {
    if (this.#restarting || !this.#wasConnected) {
      this.#after(0, null);
      this.#act.rebuild();
      return;
    }
    this.#restarting = true;
    this.#after(this.#patience.restart, () => {
      // A restart need not change the state, as the old path may have served until the new one did.
      if (this.#state === 'connected') this.observe('connected');
      else this.#act.rebuild();
    });
    this.#act.restart();
  }

  #show(state) {
    if (state === this.#shown) return;
    this.#shown = state;
    this.#act.show(state);
  }

  #after(seconds, action) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = action ? this.#clock.setTimeout(action, seconds * 1000) : 0;
  }
}
