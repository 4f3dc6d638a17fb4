/** Tries one way for media with a real connection that carries silence, and measures it. */

import { AuraLinkError } from './errors.js';

/**
 * @param {string} sdp  an answer
 * @returns {{transport: string, address: string, port: number}[]} the candidates in it
 */
export function candidates(sdp) {
  return [...sdp.matchAll(/^a=candidate:\S+ \d+ (\S+) \d+ (\S+) (\d+) typ /gm)].map(([, transport, address, port]) => ({
    transport: transport.toLowerCase(),
    address,
    port: Number(port),
  }));
}

/** The answer with only those candidates that are reached by `transport`. */
export function only(sdp, transport) {
  return sdp.replace(/^a=candidate:\S+ \d+ (\S+) .*\r?\n/gm, (line, found) => (found.toLowerCase() === transport ? line : ''));
}

/**
 * @typedef {import('./verdicts.js').Way & {offersTcp: boolean | null}} Trial  `offersTcp`: null if no answer came
 *
 * @param {import('./check_session.js').CheckSession} session  one that has not offered yet
 * @param {'udp' | 'tcp' | 'relay'} name
 * @param {{patience: number, rtcConfiguration?: RTCConfiguration, measure?: (pc: RTCPeerConnection) => Promise<void>}} options
 *   `patience` in seconds, from the offer until it is connected; `measure` is given the connection that came about
 * @returns {Promise<Trial>}
 */
export async function tryWay(session, name, { patience, rtcConfiguration, measure }) {
  const trial = { offered: true, offersTcp: null, reached: false, connected: false, to: '', error: null };
  const silence = silentTrack();
  const pc = new RTCPeerConnection({
    iceServers: session.iceServers,
    ...rtcConfiguration,
    bundlePolicy: 'max-bundle',
    iceTransportPolicy: name === 'relay' ? 'relay' : 'all',
  });
  try {
    pc.addTransceiver(silence?.track ?? 'audio', { direction: 'sendonly' });
    await pc.setLocalDescription(await pc.createOffer());
    const [{ mid }] = pc.getTransceivers();
    const offer = { type: 'offer', sdp: pc.localDescription.sdp, tracks: [{ mid, source: 'microphone' }] };
    const { sdp } = await session.request(offer, patience);
    const transport = name === 'tcp' ? 'tcp' : 'udp';
    const targets = candidates(sdp).filter((candidate) => candidate.transport === transport);
    trial.offersTcp = candidates(sdp).some((candidate) => candidate.transport === 'tcp');
    trial.offered = targets.length > 0;
    if (!trial.offered) return trial;
    trial.to = `${targets[0].address}, port ${targets[0].port}`;
    await pc.setRemoteDescription({ type: 'answer', sdp: only(sdp, transport) });
    await settled(pc, patience);
    trial.reached = ['connected', 'completed'].includes(pc.iceConnectionState);
    trial.connected = pc.connectionState === 'connected';
    if (trial.connected) await measure?.(pc);
  } catch (error) {
    trial.error = error instanceof AuraLinkError ? error : new AuraLinkError('failed', `This browser could not try it: ${error.message}`, { cause: error });
  } finally {
    pc.close();
    silence?.end();
  }
  return trial;
}

/**
 * Round trip and loss on a connection that carries something; the server reports once a second what it received.
 * @param {RTCPeerConnection} pc
 * @param {{least: number, most: number}} time  seconds: a report that comes before `least` speaks of too few packets
 * @returns {Promise<{rtt: number | null, loss: number | null}>}
 */
export async function measureWay(pc, { least, most }) {
  const start = performance.now();
  let measured = { rtt: null, loss: null };
  for (let at = 0, first = null; at < most && measured.loss === null; at = (performance.now() - start) / 1000) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stats = [...(await pc.getStats()).values()];
    first ??= stats[0].timestamp;
    measured = digest(stats, first + least * 1000);
  }
  return measured;
}

/**
 * @param {object[]} stats  of one connection that sends one track
 * @param {number} since    the loss is told by no report before this time (milliseconds, on the clock of the stats)
 * @returns {{rtt: number | null, loss: number | null}}
 */
export function digest(stats, since = 0) {
  const of = (type, found = () => true) => stats.find((stat) => stat.type === type && found(stat));
  const pair = of('candidate-pair', ({ nominated, state }) => nominated && state === 'succeeded');
  const report = of('remote-inbound-rtp', ({ timestamp }) => timestamp >= since);
  const sent = of('outbound-rtp')?.packetsSent ?? 0;
  const loss = report && sent ? Math.min(1, Math.max(0, report.packetsLost / sent)) : null;
  return { rtt: pair?.currentRoundTripTime ?? null, loss };
}

/** Until the connection stands or has failed, or patience ends. */
function settled(pc, patience) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patience * 1000);
    pc.onconnectionstatechange = () => {
      if (!['connected', 'failed', 'closed'].includes(pc.connectionState)) return;
      clearTimeout(timer);
      resolve();
    };
  });
}

function silentTrack() {
  const Context = globalThis.AudioContext;
  if (!Context) return null;
  const context = new Context();
  const destination = context.createMediaStreamDestination();
  const source = context.createConstantSource();
  source.offset.value = 0;
  source.connect(destination);
  source.start();
  const [track] = destination.stream.getAudioTracks();
  return {
    track,
    end() {
      track.stop();
      context.close();
    },
  };
}
