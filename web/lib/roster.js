/** Who is in the room and what they publish, as the server last said; changes come out as events. */

/** A member of the room. `id` is new with every session, `identity` stays. */
export class Participant {
  /** @type {Map<string, Track>} */
  tracks = new Map();
  speaking = false;
  /** Loudness of speech, 0 to 1. */
  level = 0;
  /** Where their media is: only tracks of those who are `here` can be received. @type {'here' | 'elsewhere' | 'unknown'} */
  presence = 'here';

  constructor({ id, identity, name, presence = 'here' }, isLocal) {
    Object.assign(this, { id, identity, name: name || identity, presence, isLocal });
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

  get isReceivable() {
    return this.participant.presence === 'here';
  }
}

export class Roster {
  /** Everybody, oneself included. @type {Map<string, Participant>} */
  participants = new Map();
  #tracks = new Map();
  #emit;
  #localId = null;
  #doubted = new Set(); // who was elsewhere before nothing was heard any more

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
    for (const info of present.values()) this.#recognize(info, present);
    for (const id of [...this.participants.keys()]) if (!present.has(id)) this.left(id, 'left');
    for (const info of present.values()) {
      const known = this.participants.get(info.id);
      if (known) this.#update(known, info);
      else this.joined(info);
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
      if (known.has(identity)) rename(known.get(identity), id, tracks.values());
    }
    this.#index(known.values());
    const participants = [...other.participants.values()].map((participant) => ({ ...participant, tracks: [...participant.tracks.values()] }));
    this.replace({ participants }, other.#localId);
  }

  /** Somebody entered, or came here from elsewhere and is the same person still. @returns {boolean} whether they were known */
  joined(info) {
    this.#recognize(info);
    const known = this.participants.get(info.id);
    if (known) {
      this.#update(known, info);
      return true;
    }
    const participant = new Participant(info, info.id === this.#localId);
    this.participants.set(info.id, participant);
    if (!participant.isLocal) this.#emit('participant-joined', { participant });
    for (const track of info.tracks) this.published(info.id, track);
    return false;
  }

  /** Nothing is heard of other instances: nobody knows who is still there. */
  doubt() {
    for (const participant of this.participants.values()) {
      if (participant.presence !== 'elsewhere') continue;
      this.#doubted.add(participant);
      this.#place(participant, 'unknown');
    }
  }

  /** Other instances are heard of again. */
  trust() {
    const doubted = [...this.#doubted];
    this.#doubted.clear();
    for (const participant of doubted) if (participant.presence === 'unknown') this.#place(participant, 'elsewhere');
  }

  /** Who is known from elsewhere and comes here under another id stays the object that it is. */
  #recognize(info, present = new Map()) {
    if (this.participants.has(info.id)) return;
    const found = [...this.participants.values()].find(
      ({ id, identity, presence }) => identity === info.identity && presence !== 'here' && !present.has(id),
    );
    if (!found) return;
    rename(found, info.id, info.tracks);
    this.#index(this.participants.values());
    this.#update(found, info);
  }

  #update(participant, info) {
    const published = new Map(info.tracks.map((track) => [track.id, track]));
    for (const id of [...participant.tracks.keys()]) if (!published.has(id)) this.unpublished(id);
    this.#doubted.delete(participant);
    if (info.name) participant.name = info.name;
    this.#place(participant, info.presence);
    for (const track of published.values()) {
      if (this.#tracks.has(track.id)) this.muted(track.id, track.muted);
      else this.published(info.id, track);
    }
  }

  #place(participant, presence = 'here') {
    if (participant.presence === presence) return;
    participant.presence = presence;
    this.#emit('presence-changed', { participant });
  }

  #index(participants) {
    this.participants = new Map([...participants].map((participant) => [participant.id, participant]));
    this.#tracks = new Map([...this.participants.values()].flatMap(({ tracks }) => [...tracks]));
  }

  left(id, reason) {
    const participant = this.participants.get(id);
    if (!participant) return;
    for (const trackId of [...participant.tracks.keys()]) this.unpublished(trackId);
    this.participants.delete(id);
    this.#doubted.delete(participant);
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

/** Give somebody, and those tracks that are there still, the ids by which the server knows them now. */
function rename(participant, id, tracks) {
  participant.id = id;
  for (const track of tracks) {
    const same = participant.trackFrom(track.source);
    if (same) same.id = track.id;
  }
  participant.tracks = new Map([...participant.tracks.values()].map((track) => [track.id, track]));
}
