// Measures every call that a page makes: put into a page before its own scripts, it remembers each RTCPeerConnection.
//
// It also makes a direct call between two pages, which is what a call through a server is compared with.

window.measure = (() => {
  const connections = [];
  const Native = window.RTCPeerConnection;
  if (!Native) return {};
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...args) {
      super(...args);
      connections.push(this);
    }
  };

  const open = () => connections.filter((connection) => connection.connectionState !== "closed");

  // All reports of one type, of all open connections, each with the mid of its section.
  async function reports(type) {
    const found = [];
    for (const connection of open()) {
      const stats = await connection.getStats();
      for (const report of stats.values()) {
        if (report.type !== type) continue;
        const codec = stats.get(report.codecId);
        found.push({ ...report, codec: codec ? codec.mimeType : null });
      }
    }
    return found;
  }

  const settled = (connection) => connection.iceGatheringState === "complete" ? Promise.resolve()
    : new Promise((resolve) => connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    }));

  // What an application may have set for its camera: the same limit on both sides of a comparison.
  async function limit(connection, maxBitrate) {
    for (const sender of connection.getSenders().filter(({ track }) => track.kind === "video")) {
      const parameters = sender.getParameters();
      parameters.encodings[0].maxBitrate = maxBitrate;
      await sender.setParameters(parameters);
    }
  }

  // As getUserMedia, but a video constraint `drawn` is met by a drawing: the browser's fake camera shows so little that
  // it never needs more than the bitrate a call begins with.
  async function camera({ audio, video }) {
    const wanted = { audio: audio ?? false, video: video?.drawn ? false : video ?? false };
    const stream = wanted.audio || wanted.video ? await navigator.mediaDevices.getUserMedia(wanted) : new MediaStream();
    if (video?.drawn) stream.addTrack(drawing(video));
    return stream;
  }

  // Patches of random colour at random places: new detail in every frame, as much as any encoder can take.
  function drawing({ width, height, frameRate }) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d");
    const draw = () => {
      for (let patch = 0; patch < 25; patch += 1) {
        pen.fillStyle = `hsl(${Math.random() * 360} 70% ${20 + Math.random() * 60}%)`;
        pen.fillRect(Math.random() * width, Math.random() * height, width / 16, height / 9);
      }
    };
    draw();
    setInterval(draw, 1000 / frameRate);
    return canvas.captureStream(frameRate).getVideoTracks()[0];
  }

  async function withMedia(constraints) {
    // The camera first: only a page that may use it learns its machine's addresses.
    const stream = await camera(constraints);
    const connection = new window.RTCPeerConnection();
    connection.ontrack = (event) => play(event.track);
    for (const track of stream.getTracks()) connection.addTrack(track, stream);
    measure.direct = connection;
    return connection;
  }

  // A track that nobody plays is not always decoded.
  function play(track) {
    const element = document.createElement(track.kind);
    element.autoplay = true;
    element.playsInline = true;
    element.muted = track.kind === "video";
    element.srcObject = new MediaStream([track]);
    document.body.append(element);
    element.play().catch(() => {});
  }

  async function described(connection, description) {
    await connection.setLocalDescription(description);
    await settled(connection);
    return connection.localDescription.sdp;
  }

  return {
    camera,
    connections,
    states: () => connections.map((connection) => connection.connectionState),
    inbound: () => reports("inbound-rtp"),
    outbound: () => reports("outbound-rtp"),
    pairs: () => reports("candidate-pair"),
    directOffer: async (constraints) => described(await withMedia(constraints)),
    directAnswer: async ({ sdp, constraints, maxBitrate }) => {
      const connection = await withMedia(constraints);
      await connection.setRemoteDescription({ type: "offer", sdp });
      const answer = await described(connection);
      if (maxBitrate) await limit(connection, maxBitrate);
      return answer;
    },
    directAccept: async ({ sdp, maxBitrate }) => {
      await measure.direct.setRemoteDescription({ type: "answer", sdp });
      if (maxBitrate) await limit(measure.direct, maxBitrate);
    },
    directEnd: () => measure.direct.close(),
  };
})();
