/** What people and servers write as an address, as the one to dial. Pure. */

/** The WebSocket address for `url`, which may be relative, empty, or start with http. Null if it is none. */
export function socketUrl(url, base) {
  if (!url) return null;
  try {
    const address = new URL(url, base);
    address.protocol = address.protocol.replace(/^http/, 'ws');
    if (address.pathname === '/') address.pathname = '/ws';
    address.hash = '';
    return /^wss?:$/.test(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}
