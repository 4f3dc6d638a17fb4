/**
 * AuraLink in the browser: join a room, publish tracks, receive those of others, and stay in the call.
 *
 *   import { join } from '/auralink.js';
 *   const room = await join({ getToken });
 *   room.addEventListener('track-subscribed', ({ detail }) => (video.srcObject = detail.mediaStream));
 *   const camera = await room.publish(track, { source: 'camera' });
 *
 * To hear of everything from the first moment, and to publish in the very first offer, make the room first:
 * `const room = new Room(options)`, add listeners, `room.publish(…)`, then `await room.connect()`.
 * Before that, `await checkConnection({ getToken, camera, microphone })` says in plain words whether a call will work.
 * Lost sockets, changed networks and restarted servers are handled inside; the events say what goes on.
 */

import { Room } from './lib/room.js';

export { AuraLinkError } from './lib/errors.js';
export { checkConnection } from './lib/precall.js';
export { Room } from './lib/room.js';

/**
 * Enter a room.
 * @param {import('./lib/room.js').RoomOptions} options
 * @returns {Promise<Room>}
 * @throws {import('./lib/errors.js').AuraLinkError}
 */
export function join(options) {
  return new Room(options).connect();
}
