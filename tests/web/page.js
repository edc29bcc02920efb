// Runs in the page beside the unmodified WebSDK. The driver calls the functions of `bench`; everything that the SDK
// reports goes to `emit`, which the driver provides. Calls are named by their callId; without one the latest is meant.

const SESSION = Flashphoner.constants.SESSION_STATUS;
const CALL = Flashphoner.constants.CALL_STATUS;
// A steady tone is noise to the browser's filters: they would take it away.
const PLAIN_SOUND = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const sleep = ms => new Promise(done => setTimeout(done, ms));

const calls = new Map(); // callId → { call, display, tap }
let session, latest, context;

const bench = {
  async start() {
    await Flashphoner.init({ logger: { severity: 'ERROR' } });
    context = new AudioContext({ sampleRate: 48000 });
    await context.audioWorklet.addModule('/tap.js');
    await context.resume();
  },

  connect(options) {
    session = Flashphoner.createSession(options);
    for (const status of Object.values(SESSION)) {
      session.on(status, (first, second) => {
        if (status === SESSION.INCOMING_CALL) return incoming(first);
        const detail = status === SESSION.WARN || status === SESSION.APP_DATA ? first : second;
        emit({ event: 'session', status, detail: plain(detail) });
      });
    }
  },

  // `video` among the options: constraints of the camera, or true; pictures both ways then.
  call(callee, options = {}) {
    const display = makeDisplay();
    const call = session.createCall({ callee, ...media(display, options) });
    follow(call, display);
    emit({ event: 'calling', callId: call.id() });
    call.call();
    return call.id();
  },

  answer(id, options = {}) {
    const { call, display } = find(id);
    emit({ event: 'answering', callId: id });
    call.answer(media(display, options));
  },

  hangup(id) { find(id).call.hangup(); },
  hold(id) { find(id).call.hold(); },
  unhold(id) { find(id).call.unhold(); },
  transfer(id, target) { find(id).call.transfer(target); },
  mute(id) { find(id).call.muteAudio(); },
  dtmf(id, digit, type) { find(id).call.sendDTMF(digit, type); },
  disconnect() { session.disconnect(); },
  sendData(data) { return session.sendData(data); },
  status(id) { return find(id).call.status(); },

  stats(id) { return new Promise(done => find(id).call.getStats(stats => done(plain(stats)))); },

  // State of the element that plays the far side: a muted one means that the user hears nothing.
  element(id) {
    const video = find(id).display.remote.querySelector('video');
    return video && { muted: video.muted, readyState: video.readyState };
  },

  // What was heard since the remote track came: base64 of 16-bit samples and the wall clock of the first one.
  sound(id) {
    const { tap } = find(id);
    if (!tap || !tap.startedAt) return null;
    const bytes = new Uint8Array(tap.blocks.length * 3840);
    tap.blocks.forEach((block, i) => bytes.set(new Uint8Array(block.buffer), i * 3840));
    let text = '';
    for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
    return { rate: 48000, startedAt: tap.startedAt, samples: btoa(text) };
  },

  // Every picture of the far side that was shown, since the first: its time, its size, and how bright the middle of each of 8 × 6
  // cells is (pattern.rs knows what that means).
  pictures(id) { return find(id).pictures || []; },

  // Two peer connections in this page: proves the microphone and the tap without any server.
  async loopback(camera) {
    const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
    near.onicecandidate = e => e.candidate && far.addIceCandidate(e.candidate);
    far.onicecandidate = e => e.candidate && near.addIceCandidate(e.candidate);
    const display = makeDisplay();
    far.ontrack = e => {
      const video = document.createElement('video');
      video.autoplay = true; video.srcObject = e.streams[0]; display.remote.append(video);
    };
    const mic = await navigator.mediaDevices.getUserMedia({ audio: PLAIN_SOUND, video: camera || false });
    mic.getTracks().forEach(track => near.addTrack(track, mic));
    const id = 'loopback';
    calls.set(id, { display, near, far }); latest = id; listen(id);
    await near.setLocalDescription(); await far.setRemoteDescription(near.localDescription);
    await far.setLocalDescription(); await near.setRemoteDescription(far.localDescription);
    return id;
  },
};

function media(display, { video = false, ...options }) {
  return {
    localVideoDisplay: display.local, remoteVideoDisplay: display.remote,
    constraints: { audio: PLAIN_SOUND, video }, receiveAudio: true, receiveVideo: !!video,
    stripCodecs: 'SILK', ...options,
  };
}

function find(id) {
  const found = calls.get(id || latest);
  if (!found) throw new Error('no such call: ' + (id || 'none yet'));
  return found;
}

function makeDisplay() {
  const [local, remote] = ['div', 'div'].map(tag => document.body.appendChild(document.createElement(tag)));
  return { local, remote };
}

function incoming(call) {
  follow(call, makeDisplay());
  emit({ event: 'incoming', callId: call.id(), caller: call.caller(), callee: call.callee(), visibleName: call.visibleName() });
}

function follow(call, display) {
  calls.set(call.id(), { call, display }); latest = call.id(); listen(call.id());
  for (const status of Object.values(CALL)) call.on(status, () => emit({ event: 'call', callId: call.id(), status }));
}

// Waits for the remote track and records it from its first moment.
async function listen(id) {
  const entry = calls.get(id);
  for (let tries = 0; tries < 60000; tries++, await sleep(10)) {
    const media = entry.display.remote.querySelector('video,audio');
    const track = media && media.srcObject && media.srcObject.getAudioTracks()[0];
    if (!track) continue;
    const node = new AudioWorkletNode(context, 'tap', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    entry.tap = { blocks: [], startedAt: 0 };
    node.port.onmessage = e => {
      if (!entry.tap.startedAt) entry.tap.startedAt = Date.now() - 40;
      entry.tap.blocks.push(e.data);
      if (entry.tap.blocks.length > 25 * 300) { entry.tap.blocks.shift(); entry.tap.startedAt += 40; } // the last five minutes
    };
    entry.tap.source = context.createMediaStreamSource(new MediaStream([track]));
    entry.tap.source.connect(node);
    emit({ event: 'track', callId: id });
    if (media.requestVideoFrameCallback) watch(entry, media);
    return;
  }
}

// Looks at every picture that the element shows.
function watch(entry, video) {
  const canvas = new OffscreenCanvas(8, 6);
  const paint = canvas.getContext('2d', { willReadFrequently: true });
  entry.pictures = [];
  const look = () => {
    const { videoWidth: width, videoHeight: height } = video;
    // One pixel out of the middle of each cell, so that blurred edges do not count.
    for (let y = 0; y < 6; y++) for (let x = 0; x < 8; x++) {
      paint.drawImage(video, (x + 0.3) * width / 8, (y + 0.3) * height / 6, 0.4 * width / 8, 0.4 * height / 6, x, y, 1, 1);
    }
    const { data } = paint.getImageData(0, 0, 8, 6);
    const cells = Array.from({ length: 48 }, (_, i) => Math.round((data[i * 4] + data[i * 4 + 1] + data[i * 4 + 2]) / 3));
    if (entry.pictures.length < 20000) entry.pictures.push({ at: Date.now(), width, height, cells });
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}

const plain = value => { try { return JSON.parse(JSON.stringify(value ?? null)); } catch { return String(value); } };
