/** What goes wrong, as one error class whose `code` is stable and whose `message` is for a person. */

export class AuraLinkError extends Error {
  /**
   * @param {string} code       stable and machine-readable; the server's codes are passed on unchanged
   * @param {string} message    a sentence for a person
   * @param {{field?: string, retryAfter?: number, cause?: unknown}} [more]  `retryAfter` in seconds
   */
  constructor(code, message, { field, retryAfter, cause } = {}) {
    super(message, { cause });
    this.name = 'AuraLinkError';
    this.code = code;
    this.field = field;
    this.retryAfter = retryAfter;
  }

  /** @param {{code: string, message: string, field?: string, retry_after?: number}} reply  an `error` message */
  static from(reply) {
    return new AuraLinkError(reply.code, reply.message, { field: reply.field, retryAfter: reply.retry_after });
  }
}

/** The code of every request that was under way, or tried, while there was no socket. */
export const CONNECTION_LOST = 'connection_lost';
