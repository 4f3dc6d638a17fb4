// A drawn person in a drawn room instead of the browser's fake camera, for docs/screenshots.py. Who it is, the name in
// the address says; only Ada makes any sound.

(() => {
  const PEOPLE = {
    Ada: { wall: ['#f6d9b8', '#d98f6c'], shirt: '#2f5d8a', skin: '#e8b48f', hair: '#4a2c20', long: true },
    Bob: { wall: ['#cfe3ea', '#7fa9b8'], shirt: '#c2553d', skin: '#c68a63', hair: '#1f1b1a', long: false },
    Cleo: { wall: ['#dcd6f2', '#9487c9'], shirt: '#2d7d6b', skin: '#8d5a3d', hair: '#191316', long: true },
    Eve: { wall: ['#d9ead3', '#86ad7f'], shirt: '#7a4a86', skin: '#f0c7a5', hair: '#b5652f', long: true },
  };
  const name = new URLSearchParams(location.search).get('name');
  const who = PEOPLE[name] ?? PEOPLE.Ada;

  function paint(pen, width, height, time) {
    const unit = height / 100;
    const wall = pen.createLinearGradient(0, 0, width, height);
    wall.addColorStop(0, who.wall[0]);
    wall.addColorStop(1, who.wall[1]);
    pen.fillStyle = wall;
    pen.fillRect(0, 0, width, height);
    shelf(pen, unit);
    pen.save();
    pen.translate(width / 2 + Math.sin(time) * unit, 0);
    person(pen, unit);
    pen.restore();
  }

  // A shelf with books, and a window's light on the other side.
  function shelf(pen, unit) {
    pen.fillStyle = 'rgb(255 255 255 / 0.28)';
    pen.fillRect(138 * unit, 10 * unit, 26 * unit, 44 * unit);
    pen.fillStyle = 'rgb(60 40 30 / 0.35)';
    pen.fillRect(10 * unit, 44 * unit, 42 * unit, 2 * unit);
    ['#b9543f', '#f0c36a', '#3f6f78', '#e9e2d0', '#704a6b'].forEach((colour, book) => {
      pen.fillStyle = colour;
      pen.fillRect((14 + book * 5) * unit, (28 + (book % 3) * 3) * unit, 4 * unit, (16 - (book % 3) * 3) * unit);
    });
  }

  function person(pen, unit) {
    const oval = (x, y, wide, high) => {
      pen.beginPath();
      pen.ellipse(x * unit, y * unit, wide * unit, high * unit, 0, 0, 2 * Math.PI);
      pen.fill();
    };
    pen.fillStyle = who.hair;
    if (who.long) oval(0, 48, 20, 28);
    pen.fillStyle = who.shirt;
    pen.beginPath();
    pen.roundRect(-34 * unit, 76 * unit, 68 * unit, 40 * unit, 22 * unit);
    pen.fill();
    pen.fillStyle = who.skin;
    pen.fillRect(-6 * unit, 58 * unit, 12 * unit, 20 * unit);
    oval(0, 78, 10, 5);
    oval(0, 45, 14.5, 19);
    pen.fillStyle = who.hair;
    pen.beginPath();
    pen.ellipse(0, 37 * unit, 16 * unit, 14 * unit, 0, Math.PI, 2 * Math.PI);
    pen.quadraticCurveTo(6 * unit, 28 * unit, -16 * unit, 37 * unit);
    pen.fill();
    pen.fillStyle = '#2a1d18';
    oval(-5.5, 45, 1.4, 1.8);
    oval(5.5, 45, 1.4, 1.8);
    pen.strokeStyle = '#8c3f34';
    pen.lineWidth = unit;
    pen.lineCap = 'round';
    pen.beginPath();
    pen.arc(0, 51 * unit, 5 * unit, 0.2 * Math.PI, 0.8 * Math.PI);
    pen.stroke();
  }

  function camera() {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const pen = canvas.getContext('2d');
    const draw = () => paint(pen, canvas.width, canvas.height, performance.now() / 700);
    draw();
    setInterval(draw, 1000 / 12);
    return canvas.captureStream(12).getVideoTracks()[0];
  }

  function microphone() {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: 220 });
    const out = context.createMediaStreamDestination();
    tone.connect(new GainNode(context, { gain: name === 'Ada' ? 0.2 : 0 })).connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0];
  }

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) =>
    new MediaStream([...(video ? [camera()] : []), ...(audio ? [microphone()] : [])]);
})();
