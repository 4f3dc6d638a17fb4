/** Chat messages as an application hears them: each once, though a resume may repeat some. Pure. */

const MOST_REMEMBERED = 256; // ids

export class ChatLog {
  #ids = new Set();

  /** @param {object} message  `chat_message` @param {string} [me]  our id @returns {object | null} null if it is known */
  hear({ id, sender, name, text, at, to = null }, me) {
    if (this.#ids.has(id)) return null;
    this.#ids.add(id);
    if (this.#ids.size > MOST_REMEMBERED) this.#ids.delete(this.#ids.values().next().value);
    return { id, sender, name, text, at: new Date(at * 1000), to, own: sender === me };
  }
}
