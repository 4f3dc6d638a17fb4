// Promises of the client's pure modules. Run with `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { socketUrl } from '../../web/lib/address.js';
import { backoff } from '../../web/lib/backoff.js';
import { publishCodecs, receiveCodecs } from '../../web/lib/codecs.js';
import { Coalescer } from '../../web/lib/coalescer.js';
import { Roster } from '../../web/lib/roster.js';
import { SlotMap } from '../../web/lib/slots.js';
import { StatsDigest, quality } from '../../web/lib/stats.js';

test('delays double up to their bound and are spread over half of it', () => {
  assert.equal(backoff(0, 1), 0.3);
  assert.equal(backoff(0, 0), 0.15);
  assert.equal(backoff(2, 1), 1.2);
  for (const attempt of [10, 100, 1e6]) assert.deepEqual([backoff(attempt, 0), backoff(attempt, 1)], [2.5, 5]);
});

test('wishes of one turn share a run, and wishes during a run share the next', async () => {
  const releases = [];
  const offers = new Coalescer(() => new Promise((resolve) => releases.push(resolve)));
  const first = [offers.request(), offers.request()];
  while (releases.length < 1) await new Promise((resolve) => setImmediate(resolve));
  const second = [offers.request(), offers.request(), offers.request()];
  releases[0]();
  await Promise.all(first);
  while (releases.length < 2) await new Promise((resolve) => setImmediate(resolve));
  releases[1]();
  await Promise.all(second);
  assert.equal(releases.length, 2);
});

test('a run that fails tells those who asked for it, and the next one runs all the same', async () => {
  let runs = 0;
  const offers = new Coalescer(async () => {
    runs += 1;
    if (runs === 1) throw new Error('refused');
  });
  await assert.rejects(offers.request(), /refused/);
  await offers.request();
  assert.equal(runs, 2);
});

test('a slot plays only once both its section and its track are known', () => {
  const slots = new SlotMap();
  const mids = new Set();
  const tracks = new Set();
  const apply = () => slots.apply((mid, track) => mids.has(mid) && tracks.has(track));
  slots.replace([{ mid: '3', track: 't1' }]);
  assert.deepEqual(apply(), { ended: [], begun: [] });
  tracks.add('t1');
  assert.deepEqual(apply(), { ended: [], begun: [] });
  mids.add('3');
  assert.deepEqual(apply(), { ended: [], begun: [['3', 't1']] });
  assert.deepEqual(apply(), { ended: [], begun: [] });
  assert.equal(slots.trackOf('3'), 't1');
});

test('another track in a slot ends the old one before the new one begins', () => {
  const slots = new SlotMap();
  slots.replace([{ mid: '3', track: 't1' }, { mid: '4', track: null }]);
  slots.apply(() => true);
  slots.replace([{ mid: '3', track: 't2' }, { mid: '4', track: 't1' }]);
  assert.deepEqual(slots.apply(() => true), { ended: [['3', 't1']], begun: [['3', 't2'], ['4', 't1']] });
  assert.deepEqual(slots.clear(), [['3', 't2'], ['4', 't1']]);
  assert.deepEqual(slots.apply(() => true), { ended: [], begun: [] });
});

const codec = (mimeType, sdpFmtpLine) => ({ mimeType, sdpFmtpLine, clockRate: 90000 });
const CHROMIUM = [
  codec('video/VP8'), codec('video/rtx'), codec('video/VP9', 'profile-id=0'), codec('video/VP9', 'profile-id=2'),
  codec('video/H264', 'packetization-mode=1;profile-level-id=42e01f'), codec('video/H264', 'packetization-mode=0;profile-level-id=42e01f'),
  codec('video/H264', 'packetization-mode=1;profile-level-id=64001f'), codec('video/AV1', 'profile=0'), codec('video/red'), codec('video/ulpfec'),
];

test('receive sections name each codec once, and retransmission, and nothing else', () => {
  assert.deepEqual(receiveCodecs('video', CHROMIUM).map((c) => c.mimeType), ['video/VP8', 'video/VP9', 'video/H264', 'video/AV1', 'video/rtx']);
  assert.deepEqual(receiveCodecs('audio', [codec('audio/opus'), codec('audio/red'), codec('audio/PCMU')]).map((c) => c.mimeType), ['audio/opus', 'audio/red']);
});

test('a microphone is sent redundantly where that is asked for and can be had', () => {
  const audio = [codec('audio/opus'), codec('audio/red'), codec('audio/PCMU')];
  assert.deepEqual(publishCodecs('audio', audio, { red: true }).map((c) => c.mimeType), ['audio/red', 'audio/opus']);
  assert.deepEqual(publishCodecs('audio', audio).map((c) => c.mimeType), ['audio/opus']);
  assert.deepEqual(publishCodecs('audio', audio.slice(0, 1), { red: true }).map((c) => c.mimeType), ['audio/opus']);
  assert.deepEqual(publishCodecs('audio', audio.slice(1), { red: true }), [], 'redundancy of what?');
  assert.deepEqual(publishCodecs('video', CHROMIUM, { red: true }).map((c) => c.mimeType), ['video/VP8', 'video/rtx']);
});

test('a section that publishes names VP8 unless another codec is asked for', () => {
  assert.deepEqual(publishCodecs('video', CHROMIUM).map((c) => c.mimeType), ['video/VP8', 'video/rtx']);
  assert.deepEqual(publishCodecs('video', CHROMIUM, { codec: 'vp9' }).map((c) => c.mimeType), ['video/VP9', 'video/VP8', 'video/rtx']);
});

test('a browser without any codec of ours keeps its own list', () => {
  assert.deepEqual(receiveCodecs('video', [codec('video/rtx')]), []);
});

const person = (id, tracks = []) => ({ id, identity: id, name: '', tracks });
const microphone = (id, muted = false) => ({ id, kind: 'audio', source: 'microphone', muted });

test('a snapshot after a gap becomes exactly the events that were missed', () => {
  const events = [];
  const roster = new Roster((type, { participant, track }) => events.push([type, participant.id, track?.id]));
  roster.replace({ participants: [person('me'), person('a', [microphone('t1')]), person('b')] }, 'me');
  events.length = 0;
  roster.replace({ participants: [person('me'), person('a', [microphone('t1', true), microphone('t2')]), person('c')] }, 'me');
  assert.deepEqual(events, [
    ['participant-left', 'b', undefined],
    ['muted', 'a', 't1'],
    ['track-published', 'a', 't2'],
    ['participant-joined', 'c', undefined],
  ]);
  assert.equal(roster.local.id, 'me');
});

test('who leaves takes the tracks along, and says nothing twice', () => {
  const events = [];
  const roster = new Roster((type) => events.push(type));
  roster.joined(person('a', [microphone('t1')]));
  roster.joined(person('a', [microphone('t1')]));
  roster.left('a', 'left');
  roster.left('a', 'left');
  roster.unpublished('t1');
  roster.muted('t1', true);
  roster.published('nobody', microphone('t9'));
  assert.deepEqual(events, ['participant-joined', 'track-published', 'track-unpublished', 'participant-left']);
  assert.equal(roster.track('t1'), undefined);
});

test('addresses are understood however they are given', () => {
  assert.equal(socketUrl('/', 'http://localhost:8080/room?x=1'), 'ws://localhost:8080/ws');
  assert.equal(socketUrl('https://call.example.org'), 'wss://call.example.org/ws');
  assert.equal(socketUrl('wss://call.example.org/other'), 'wss://call.example.org/other');
  assert.equal(socketUrl('', 'http://localhost/'), null);
  assert.equal(socketUrl('ftp://example.org'), null);
  assert.equal(socketUrl('not an address'), null);
});

test('statistics become rates, loss and one word for quality', () => {
  const digest = new StatsDigest();
  const report = (timestamp, bytes, received, lost) =>
    new Map([
      ['in', { id: 'in', type: 'inbound-rtp', kind: 'video', mid: '5', timestamp, bytesReceived: bytes, packetsReceived: received, packetsLost: lost }],
      ['pair', { id: 'pair', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.02 }],
    ]);
  digest.read(report(1000, 0, 0, 0), () => 't1');
  const second = digest.read(report(3000, 250_000, 90, 10), () => 't1');
  assert.equal(second.down, 1_000_000);
  assert.equal(second.loss, 0.1);
  assert.equal(second.rtt, 0.02);
  assert.equal(second.quality, 'poor');
  assert.equal(second.inbound[0].track, 't1');
  assert.equal(quality({ rtt: null, loss: null }), 'unknown');
  assert.equal(quality({ rtt: 0.05, loss: 0 }), 'good');
  assert.equal(quality({ rtt: 0.25, loss: 0 }), 'fair');
});
