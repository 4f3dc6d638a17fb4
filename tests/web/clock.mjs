// A clock that stands still until a test lets time pass.

export class Clock {
  now = 0;
  #timers = new Map();
  #next = 1;
  setTimeout = (action, milliseconds) => {
    this.#timers.set(this.#next, { action, at: this.now + milliseconds / 1000 });
    return this.#next++;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);
  pass(seconds) {
    this.now += seconds;
    for (const [timer, { action, at }] of [...this.#timers]) {
      if (at <= this.now && this.#timers.delete(timer)) action();
    }
  }
}
