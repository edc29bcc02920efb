// Drives headless Chromium with the unmodified WebSDK. One JSON object a line:
//   in   {"id":1,"page":"alice","do":"open","mic":"/path/tone.wav"}    opens a browser of its own for this page; "camera": a Y4M file
//        {"id":2,"page":"alice","do":"call","args":["1002"]}           calls bench.call("1002") in the page (page.js)
//        {"id":3,"page":"alice","do":"record","file":"/path/out.wav","args":[callId]}   writes what the page heard
//        {"id":4,"page":"alice","do":"goto","args":[url]}              shows another address (our own phone page)
//        {"id":5,"page":"alice","do":"eval","args":["document.title"]}
//        {"id":6,"page":"alice","do":"close"}
//   out  {"id":1,"result":…} or {"id":1,"error":"…"}; and without id what happened: frames, SDK events, page errors.
// Every browser has its own microphone because Chromium knows only one file per process. Ends with its standard input.
import { chromium } from 'playwright-core';
import http from 'node:http';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const FILES = {
  '/': ['page.html', 'text/html'],
  '/page.js': ['page.js', 'text/javascript'],
  '/tap.js': ['tap.js', 'text/javascript'],
  '/sdk.js': ['node_modules/@flashphoner/websdk/flashphoner-webrtc-only.js', 'text/javascript'],
};
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required', '--disable-features=WebRtcHideLocalIpsWithMdns',
];

const pages = new Map(); // name → { context, page, profile }
const say = line => process.stdout.write(JSON.stringify({ at: Date.now(), ...line }) + '\n');
const parsed = payload => { try { return JSON.parse(payload); } catch { return String(payload); } };

const server = http.createServer((request, response) => {
  const [file, type] = FILES[request.url] || [];
  if (!file) { response.writeHead(404).end(); return; }
  response.setHeader('content-type', type);
  response.end(fs.readFileSync(path.join(here, file)));
});
await new Promise(ready => server.listen(0, '127.0.0.1', ready));
const home = `http://localhost:${server.address().port}/`;

async function open(name, { mic, camera, flags = [], url }) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, ignoreHTTPSErrors: true,
    ignoreDefaultArgs: ['--mute-audio'],
    args: [
      ...FLAGS, ...(mic ? [`--use-file-for-fake-audio-capture=${mic}`] : []),
      ...(camera ? [`--use-file-for-fake-video-capture=${camera}`] : []), ...flags,
    ],
  });
  const page = context.pages()[0] || await context.newPage();
  pages.set(name, { context, page, profile });
  page.on('websocket', socket => {
    socket.on('framesent', f => say({ page: name, event: 'sent', frame: parsed(f.payload) }));
    socket.on('framereceived', f => say({ page: name, event: 'received', frame: parsed(f.payload) }));
    socket.on('close', () => say({ page: name, event: 'socket closed' }));
    socket.on('socketerror', error => say({ page: name, event: 'socket error', error }));
  });
  page.on('pageerror', error => say({ page: name, event: 'page error', error: error.message }));
  await page.exposeFunction('emit', event => say({ page: name, ...event }));
  await page.goto(url || home);
  if (!url) await page.evaluate(() => bench.start());
}

async function close(name) {
  const { context, profile } = pages.get(name);
  pages.delete(name);
  await context.close();
  fs.rmSync(profile, { recursive: true, force: true });
}

function wav(samples, rate) {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0); head.writeUInt32LE(36 + samples.length, 4); head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16); head.writeUInt16LE(1, 20); head.writeUInt16LE(1, 22); head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28); head.writeUInt16LE(2, 32); head.writeUInt16LE(16, 34);
  head.write('data', 36); head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

async function obey(order) {
  const { page: name, do: what, args = [] } = order;
  if (what === 'open') return open(name, order);
  const entry = pages.get(name);
  if (!entry) throw new Error(`no page called ${name}`);
  if (what === 'close') return close(name);
  if (what === 'goto') { await entry.page.goto(args[0]); return null; }
  if (what === 'eval') return entry.page.evaluate(args[0]);
  if (what === 'record') {
    const sound = await entry.page.evaluate(id => bench.sound(id), args[0]);
    if (!sound) return null;
    fs.writeFileSync(order.file, wav(Buffer.from(sound.samples, 'base64'), sound.rate));
    return { startedAt: sound.startedAt };
  }
  return entry.page.evaluate(([what, args]) => bench[what](...args), [what, args]);
}

// Orders for one page keep their order; pages do not wait for each other.
const queues = new Map();
for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  const work = async () => {
    try { say({ id: order.id, result: (await obey(order)) ?? null }); }
    catch (error) { say({ id: order.id, error: String(error.message || error) }); }
  };
  queues.set(order.page, (queues.get(order.page) || Promise.resolve()).then(work));
}
await Promise.all([...pages.keys()].map(name => close(name).catch(() => {})));
process.exit(0);
