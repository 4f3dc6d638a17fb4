// Takes part in a call through auralink.js, as an application's page would, and remembers what it was told and shown.
//
// Put into a page of the server, it is driven by call.py. `play` has every received track played, as a track that
// nobody plays is not always decoded, and notes when the first picture of each was shown.

window.caller ??= (() => {
  const TOLD = [
    'connected', 'reconnecting', 'resumed', 'disconnected', 'participant-joined', 'participant-left', 'track-published',
    'track-unpublished', 'track-subscribed', 'track-unsubscribed', 'muted', 'unmuted', 'chat', 'notice', 'media-state',
    'publish-failed', 'error', 'migrated', 'migration-failed', 'track-replaced', 'degraded', 'recovered',
    'presence-changed', 'room-replaced',
  ];
  const MODERATION = ['waiting', 'muted-by', 'permissions-changed', 'room-updated', 'participant-waiting', 'waiting-ended'];
  const events = [];
  const playing = new Map(); // track → {identity, source, element}
  const published = new Map(); // source → Publication
  const captured = new Map(); // source → MediaStreamTrack
  let room = null;
  let began = 0;

  const note = (type, detail) => events.push({ type, after: (performance.now() - began) / 1000, ...detail });

  function told(type, detail) {
    note(type, {
      identity: detail.participant?.identity,
      source: detail.track?.source ?? detail.publication?.source,
      text: detail.text,
      waiter: detail.waiter,
      by: detail.by?.identity,
      message: detail.message ?? detail.error?.message,
      presence: detail.participant?.presence,
      mode: detail.degradation?.mode,
      dependency: detail.dependency ?? detail.degradation?.dependency,
      ...Object.fromEntries(['code', 'reason', 'state', 'rejoined', 'name', 'own', 'to', 'url'].map((key) => [key, detail[key]])),
    });
  }

  function play({ participant, track, mediaStream }) {
    const element = document.createElement(track.kind);
    const { identity } = participant;
    const { source } = track;
    Object.assign(element, { autoplay: true, playsInline: true, muted: track.kind === 'video', srcObject: mediaStream });
    if (track.kind === 'video') {
      element.requestVideoFrameCallback((_, { width, height }) => note('first-frame', { identity, source, width, height }));
    }
    playing.set(track, { identity, source, element });
    document.body.append(element);
    element.play().catch(() => {});
  }

  function stop({ track }) {
    playing.get(track)?.element.remove();
    playing.delete(track);
  }

  async function capture(media) {
    const { microphone, camera, screen } = media;
    if (microphone || camera) {
      const stream = await measure.camera({ audio: microphone, video: camera });
      if (microphone) captured.set('microphone', stream.getAudioTracks()[0]);
      if (camera) captured.set('camera', stream.getVideoTracks()[0]);
    }
    if (screen) captured.set('screen', (await measure.camera({ video: screen })).getVideoTracks()[0]);
  }

  async function publish(source, options = {}) {
    published.set(source, await room.publish(captured.get(source), { source, ...options }));
  }

  const gaps = new Map(); // identity → {last, longest, shown}

  // Look every 50 ms whether another picture of somebody's camera was decoded, whatever connection brings it.
  function countGaps(identity) {
    const gap = { last: performance.now(), longest: 0, shown: null };
    gaps.set(identity, gap);
    setInterval(async () => {
      const [track] = [...playing].find(([, one]) => one.identity === identity && one.source === 'camera') ?? [];
      const stats = [...((await room.getStats()) ?? new Map()).values()];
      const frames = stats.find(({ type, mid }) => type === 'inbound-rtp' && mid === track?.mid)?.framesDecoded;
      const now = performance.now();
      const shown = `${track?.id} ${frames}`;
      if (frames && shown !== gap.shown) {
        gap.shown = shown;
        gap.longest = Math.max(gap.longest, now - gap.last);
        gap.last = now;
      }
    }, 50);
  }

  return {
    events,
    countGaps,
    longestGap: (identity) => Math.max(gaps.get(identity).longest, performance.now() - gaps.get(identity).last) / 1000,
    captured,
    playing,
    published,
    get room() {
      return room;
    },
    capture,
    publish,

    // Join, with what was captured in the first offer. `options` are those of Room, `encodings` those of publish by source.
    async enter({ options, encodings = {} }) {
      const { Room } = await import('/auralink.js');
      began = performance.now();
      room = new Room(options);
      for (const type of [...TOLD, ...MODERATION]) room.addEventListener(type, ({ detail }) => told(type, detail));
      room.addEventListener('track-subscribed', ({ detail }) => play(detail));
      room.addEventListener('track-unsubscribed', ({ detail }) => stop(detail));
      for (const source of captured.keys()) {
        publish(source, encodings[source]).catch((error) => note('error', { code: error.code, message: error.message }));
      }
      await room.connect();
    },

    async unpublish(source) {
      const publication = published.get(source);
      published.delete(source);
      await room.unpublish(publication);
    },

    // What arrives, one statistics report for each track that plays, and whose it is.
    async inbound() {
      const reports = [...((await room.getStats()) ?? new Map()).values()].filter(({ type }) => type === 'inbound-rtp');
      return [...playing].flatMap(([track, { identity, source }]) =>
        reports.filter(({ mid }) => mid === track.mid).map((report) => ({ ...report, identity, source })),
      );
    },

    roster: () => room.participants.map(({ identity, tracks }) => ({
      identity,
      tracks: [...tracks.values()].map(({ source, muted }) => ({ source, muted })),
    })),
  };
})();
