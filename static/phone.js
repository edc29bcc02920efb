// The phone: one session, one call at a time. Joins the wire (signal), the sound (media, sounds) and the page (view).
import { Media } from './media.js';
import { Signal } from './signal.js';
import { Sounds } from './sounds.js';
import { View } from './view.js';
import { callEnd, closed, failure, mediaFailure } from './words.js';

const RETRY_MS = [1_000, 2_000, 5_000, 10_000, 30_000];

const state = { session: 'off', account: null, call: null, message: '' };
const offers = new Map(); // SDP offers of calls that nobody has taken yet, by call id
const sounds = new Sounds();
let signal = null;
let retries = 0;
let retryTimer = null;

const view = new View({
  connect() {
    state.account = view.account;
    view.remember();
    retries = 0;
    connect();
  },
  disconnect() {
    leave();
    change({ session: 'off', message: '', call: null });
  },
  dial(number) {
    if (number && signal && !busy()) dial(number);
  },
  answer() {
    if (state.call?.state === 'incoming') answer(state.call);
  },
  hangUp() {
    if (state.call) hangUp(state.call);
  },
  mute() {
    const { call } = state;
    call.muted = !call.muted;
    call.media?.mute(call.muted);
    draw();
  },
  hold() {
    const { call } = state;
    signal.send(call.state === 'held' ? 'unhold' : 'hold', { callId: call.id });
    call.waiting = true; // until `hold` or `talk` says where it stands
    draw();
  },
  /** True if `key` went into the call; false: it belongs to the number. */
  digit(key) {
    sounds.key(key);
    const inCall = ['talking', 'held', 'ringing'].includes(state.call?.state);
    if (inCall) signal.send('sendDtmf', { callId: state.call.id, type: 'RFC2833', dtmf: key });
    return inCall;
  },
});

const busy = () => state.call !== null && state.call.state !== 'ended';

function change(changes) {
  Object.assign(state, changes);
  draw();
}

function draw() {
  sounds.repeat({ ringing: 'ringing', incoming: 'bell' }[state.call?.earlyMedia ? '' : state.call?.state] ?? null);
  view.draw(state);
}

function connect() {
  leave();
  const { login, password, domain, port, auth, proxy, url, register } = state.account;
  const fields = {
    appKey: 'defaultApp', mediaProviders: ['WebRTC'], clientVersion: '2.0', clientBrowserVersion: navigator.userAgent,
    sipLogin: login, sipPassword: password, sipDomain: domain, sipPort: port, sipRegisterRequired: register,
    sipAuthenticationName: auth || login, sipOutboundProxy: proxy || domain,
  };
  change({ session: 'connecting', message: '' });
  try {
    signal = new Signal(url, fields);
  } catch (error) {
    change({ session: 'failed', message: `The gateway's URL cannot be used: ${error.message}` });
    return;
  }
  const mine = signal;
  signal.addEventListener('message', (event) => { if (mine === signal) heard(event.detail); });
  signal.addEventListener('close', (event) => { if (mine === signal) lost(event.detail.code); });
}

/** Ends the session from our side, with the call in it. */
function leave() {
  clearTimeout(retryTimer);
  if (busy()) hangUp(state.call);
  if (state.call) end(state.call, 'Call ended');
  const old = signal;
  signal = null;
  old?.close();
}

function lost(code) {
  signal = null;
  offers.clear();
  if (busy()) end(state.call, 'The connection to the gateway is lost');
  const was = state.session;
  // Told why (credentials, account): trying again would not help.
  const told = code === 1000;
  change({ session: 'failed', message: told && state.message ? state.message : closed(code) });
  if (!told && (was !== 'connecting' || retries > 0)) {
    retryTimer = setTimeout(connect, RETRY_MS[Math.min(retries, RETRY_MS.length - 1)]);
    retries += 1;
  }
}

async function dial(number) {
  const call = { id: crypto.randomUUID?.() ?? String(Math.random()), peer: number, name: '', state: 'dialing', muted: false };
  call.media = openMedia(call);
  change({ call, message: '' });
  try {
    const sdp = await call.media.offer();
    if (state.call !== call || call.state !== 'dialing' || !signal) return; // hung up meanwhile
    call.placed = true;
    const { login, name } = state.account;
    signal.send('call', {
      callId: call.id, incoming: false, hasAudio: true, hasVideo: false, status: 'PENDING', mediaProvider: 'WebRTC',
      sdp, caller: login, callee: number, visibleName: name || login,
    });
  } catch (error) {
    if (call.state !== 'ended') end(call, mediaFailure(error));
  }
}

async function answer(call) {
  call.state = 'answering';
  call.media = openMedia(call);
  draw();
  try {
    const sdp = await call.media.answer(offers.get(call.id) ?? '');
    if (state.call !== call || call.state !== 'answering' || !signal) return;
    signal.send('answer', {
      callId: call.id, incoming: true, hasAudio: true, hasVideo: false, status: 'PENDING', mediaProvider: 'WebRTC', sdp,
    });
  } catch (error) {
    if (call.state === 'ended') return;
    signal?.send('hangup', { callId: call.id });
    end(call, mediaFailure(error));
  }
}

function hangUp(call) {
  if (call.placed || call.incoming) {
    signal?.send('hangup', { callId: call.id });
    call.hungUp = true; // the gateway's `finish` is not worth a sentence then
  }
  end(call, call.state === 'incoming' ? 'Call rejected' : call.since ? 'Call ended' : 'Call cancelled');
}

function end(call, endText) {
  if (call.state === 'ended') return;
  call.media?.close();
  offers.delete(call.id);
  Object.assign(call, { state: 'ended', endText, until: Date.now(), media: null });
  draw();
}

function openMedia(call) {
  const media = new Media(view.loudspeaker);
  media.addEventListener('failed', () => {
    if (state.call === call) change({ message: 'The sound path to the gateway broke.' });
  });
  return media;
}

/** What the gateway says. */
function heard({ name, data, args }) {
  switch (name) {
    case 'getUserData':
      retries = 0;
      change({ session: state.account.register ? 'established' : 'ready' });
      break;
    case 'registered':
      change({ session: 'registered', message: '' });
      break;
    case 'fail':
      change({ message: failure(data) });
      break;
    case 'setRemoteSDP':
      described(args[0], args[1]);
      break;
    case 'notifyIncomingCall':
      called(data);
      break;
    case 'notifyTryingResponse':
    case 'ring':
    case 'talk':
    case 'hold':
    case 'finish':
      if (state.call?.id === data.callId && state.call.state !== 'ended') progressed(state.call, data);
      else if (data.status === 'FINISH' || data.status === 'FAILED') offers.delete(data.callId);
      break;
    default: // nothing that this page needs
  }
}

function described(id, sdp) {
  const { call } = state;
  if (call?.id === id && call.media) {
    call.media.accept(sdp).catch((error) => change({ message: mediaFailure(error) }));
  } else {
    offers.set(id, sdp);
  }
}

function called(data) {
  if (busy()) {
    signal.send('hangup', { callId: data.callId }); // one call at a time: the caller hears "busy"
    offers.delete(data.callId);
    return;
  }
  const name = data.visibleName === data.caller ? '' : data.visibleName;
  const call = { id: data.callId, incoming: true, peer: data.caller, name, state: 'incoming', muted: false };
  change({ call, message: '' });
}

function progressed(call, data) {
  switch (data.status) {
    case 'RING':
    case 'RING_MEDIA':
      call.earlyMedia = data.status === 'RING_MEDIA';
      if (!call.incoming) call.state = 'ringing';
      break;
    case 'ESTABLISHED':
      call.since ??= Date.now();
      Object.assign(call, { state: 'talking', waiting: false });
      break;
    case 'HOLD':
      Object.assign(call, { state: 'held', waiting: false });
      break;
    case 'FINISH':
    case 'FAILED':
      end(call, callEnd(data));
      break;
    default: // TRYING: known already
  }
  draw();
}

setInterval(() => view.tick(state.call), 500);
addEventListener('pagehide', () => leave());
draw();
fetch('/settings.json')
  .then((answered) => answered.json())
  .then(({ demo }) => { if (demo) view.suggest(demo); })
  .catch(() => {}); // a page from elsewhere has no suggestions
