// Promises of the signalling line, over a socket without a server. Run with `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Signal } from '../../web/lib/signal.js';

test('clients that are told to wait do not come back in step', async () => {
  globalThis.WebSocket = class {
    constructor() {
      setImmediate(() => this.onmessage?.({ data: JSON.stringify({ type: 'error', code: 'rate_limited', message: '', retry_after: 0.1 }) }));
    }
    close() {}
  };
  const delays = [];
  for (let client = 0; client < 20; client += 1) {
    const signal = new Signal({ url: 'ws://test/ws', getToken: async () => 'token', subscribe: 'auto' });
    signal.connect().catch(() => {});
    const { detail } = await new Promise((resolve) => signal.addEventListener('retrying', resolve));
    delays.push(detail.delay);
    signal.close();
  }
  assert.ok(delays.every((delay) => delay > 0.1), 'never sooner than the server asks');
  assert.ok(Math.max(...delays) - Math.min(...delays) > 0.01, 'spread');
});

test('a token that never comes ends the first connection in time', async () => {
  const signal = new Signal({ url: 'ws://test/ws', getToken: () => new Promise(() => {}), subscribe: 'auto', timing: { openTimeout: 0.02 } });
  await assert.rejects(signal.connect(), { code: 'no_token' });
});

test('who takes no way but a relay says so, and is told at once when there is none', async () => {
  const said = [];
  globalThis.WebSocket = class {
    constructor() {
      setImmediate(() => this.onopen?.());
    }
    send(text) {
      said.push(JSON.parse(text));
      setImmediate(() => this.onmessage?.({ data: JSON.stringify({ type: 'error', code: 'turn_unavailable', message: '', retry_after: 10 }) }));
    }
    close() {}
  };
  for (const iceTransportPolicy of ['relay', 'all']) {
    const signal = new Signal({ url: 'ws://test/ws', getToken: async () => 'token', subscribe: 'auto', rtcConfiguration: { iceTransportPolicy } });
    await assert.rejects(signal.connect(), { code: 'turn_unavailable' });
  }
  assert.deepEqual(said.map(({ relay_only }) => relay_only), [true, undefined]);

  const own = { iceTransportPolicy: 'relay', iceServers: [{ urls: 'turn:mine', username: 'u', credential: 'c' }] };
  const signal = new Signal({ url: 'ws://test/ws', getToken: async () => 'token', subscribe: 'auto', rtcConfiguration: own });
  await assert.rejects(signal.connect(), { code: 'turn_unavailable' });
  assert.equal(said.at(-1).relay_only, undefined, 'its relays are its own, of which the server knows nothing');
});
