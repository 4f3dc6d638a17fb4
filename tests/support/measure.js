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

  async function withMedia(constraints) {
    // The camera first: only a page that may use it learns its machine's addresses.
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
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
    connections,
    states: () => connections.map((connection) => connection.connectionState),
    inbound: () => reports("inbound-rtp"),
    outbound: () => reports("outbound-rtp"),
    pairs: () => reports("candidate-pair"),
    directOffer: async (constraints) => described(await withMedia(constraints)),
    directAnswer: async ({ sdp, constraints }) => {
      const connection = await withMedia(constraints);
      await connection.setRemoteDescription({ type: "offer", sdp });
      return described(connection);
    },
    directAccept: (sdp) => measure.direct.setRemoteDescription({ type: "answer", sdp }),
    directEnd: () => measure.direct.close(),
  };
})();
