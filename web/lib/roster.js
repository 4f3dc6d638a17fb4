/** Who is in the room and what they publish, as the server last said; changes come out as events. */

/** A member of the room. `id` is new with every session, `identity` stays. */
export class Participant {
  /** @type {Map<string, Track>} */
  tracks = new Map();
  speaking = false;
  /** Loudness of speech, 0 to 1. */
  level = 0;

  constructor({ id, identity, name }, isLocal) {
    Object.assign(this, { id, identity, name: name || identity, isLocal });
  }

  /** @param {string} source  `microphone`, `camera`, `screen` or `screen_audio` @returns {Track | undefined} */
  trackFrom(source) {
    return [...this.tracks.values()].find((track) => track.source === source);
  }
}

/** Something a participant publishes. The media fields are set while it plays here. */
export class Track {
  /** @type {MediaStreamTrack | null} */
  mediaStreamTrack = null;
  /** Holds `mediaStreamTrack` alone; ready for an element's `srcObject`. @type {MediaStream | null} */
  mediaStream = null;
  /** The receive section it plays in. @type {string | null} */
  mid = null;

  constructor({ id, kind, source, muted }, participant) {
    Object.assign(this, { id, kind, source, muted, participant });
  }
}

export class Roster {
  /** Everybody, oneself included. @type {Map<string, Participant>} */
  participants = new Map();
  #tracks = new Map();
  #emit;
  #localId = null;

  /** @param {(type: string, detail: object) => void} emit */
  constructor(emit) {
    this.#emit = emit;
  }

  get local() {
    return this.participants.get(this.#localId) ?? null;
  }

  /** @returns {Track | undefined} */
  track(id) {
    return this.#tracks.get(id);
  }

  get tracks() {
    return this.#tracks.values();
  }

  /** Become what the snapshot says, by the events that would have led there. */
  replace(snapshot, localId) {
    this.#localId = localId;
    const present = new Map(snapshot.participants.map((info) => [info.id, info]));
    for (const id of [...this.participants.keys()]) if (!present.has(id)) this.left(id, 'left');
    for (const info of present.values()) {
      const known = this.participants.get(info.id);
      if (!known) {
        this.joined(info);
        continue;
      }
      const published = new Map(info.tracks.map((track) => [track.id, track]));
      for (const id of [...known.tracks.keys()]) if (!published.has(id)) this.unpublished(id);
      for (const track of published.values()) {
        if (this.#tracks.has(track.id)) this.muted(track.id, track.muted);
        else this.published(info.id, track);
      }
    }
  }

  /**
   * Become what another server says, where everything has another id: who is known by identity, and which of their
   * tracks by source, stay the objects that they are. Only what differs beside the ids comes out as events.
   * @param {Roster} other
   */
  become(other) {
    const known = new Map([...this.participants.values()].map((participant) => [participant.identity, participant]));
    for (const { id, identity, tracks } of other.participants.values()) {
      const participant = known.get(identity);
      if (!participant) continue;
      participant.id = id;
      for (const track of tracks.values()) {
        const same = participant.trackFrom(track.source);
        if (same) same.id = track.id;
      }
      participant.tracks = new Map([...participant.tracks.values()].map((track) => [track.id, track]));
    }
    this.participants = new Map([...known.values()].map((participant) => [participant.id, participant]));
    this.#tracks = new Map([...known.values()].flatMap(({ tracks }) => [...tracks]));
    const participants = [...other.participants.values()].map((participant) => ({ ...participant, tracks: [...participant.tracks.values()] }));
    this.replace({ participants }, other.#localId);
  }

  joined(info) {
    if (this.participants.has(info.id)) return;
    const participant = new Participant(info, info.id === this.#localId);
    this.participants.set(info.id, participant);
    if (!participant.isLocal) this.#emit('participant-joined', { participant });
    for (const track of info.tracks) this.published(info.id, track);
  }

  left(id, reason) {
    const participant = this.participants.get(id);
    if (!participant) return;
    for (const trackId of [...participant.tracks.keys()]) this.unpublished(trackId);
    this.participants.delete(id);
    if (!participant.isLocal) this.#emit('participant-left', { participant, reason });
  }

  published(participantId, info) {
    const participant = this.participants.get(participantId);
    if (!participant || this.#tracks.has(info.id)) return;
    const track = new Track(info, participant);
    participant.tracks.set(info.id, track);
    this.#tracks.set(info.id, track);
    this.#emit('track-published', { participant, track });
  }

  unpublished(id) {
    const track = this.#tracks.get(id);
    if (!track) return;
    this.#tracks.delete(id);
    track.participant.tracks.delete(id);
    this.#emit('track-unpublished', { participant: track.participant, track });
  }

  muted(id, muted) {
    const track = this.#tracks.get(id);
    if (!track || track.muted === muted) return;
    track.muted = muted;
    this.#emit(muted ? 'muted' : 'unmuted', { participant: track.participant, track });
  }

  /** @param {{participant: string, level: number}[]} speakers  all who speak now, loudest first */
  speak(speakers) {
    const levels = new Map(speakers.map(({ participant, level }) => [participant, level]));
    for (const participant of this.participants.values()) {
      participant.speaking = levels.has(participant.id);
      participant.level = levels.get(participant.id) ?? 0;
    }
    const present = speakers.map(({ participant }) => this.participants.get(participant)).filter(Boolean);
    this.#emit('speakers', { speakers: present });
  }
}
