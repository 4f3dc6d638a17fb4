/** How long to wait before the next attempt: doubling, bounded, and spread so that clients do not return in step. */

/**
 * @param {number} attempt   0 for the first retry
 * @param {number} random    from 0 up to 1; an argument, so that tests can choose it
 * @param {{first?: number, most?: number}} [bounds]  in seconds
 * @returns {number} seconds, between half of the nominal delay and all of it
 */
export function backoff(attempt, random, { first = 0.3, most = 5 } = {}) {
  const nominal = Math.min(most, first * 2 ** Math.min(attempt, 30));
  return nominal * (0.5 + random / 2);
}
