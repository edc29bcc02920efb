// The page: state in, elements out; what the user does comes back as calls of `actions`. Texts of callers go in by
// textContent only.
import { CALL, SESSION, duration } from './words.js';

const KEYS = [['1', ''], ['2', 'ABC'], ['3', 'DEF'], ['4', 'GHI'], ['5', 'JKL'], ['6', 'MNO'],
  ['7', 'PQRS'], ['8', 'TUV'], ['9', 'WXYZ'], ['*', ''], ['0', '+'], ['#', '']];
const FIELDS = ['login', 'password', 'domain', 'port', 'auth', 'proxy', 'name', 'url'];
const REMEMBERED = 'tandem-account';

const element = (id) => document.getElementById(id);
const show = (id, shown) => { element(id).hidden = !shown; };
const text = (id, words) => { element(id).textContent = words; };

function button(words, does) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = words;
  made.addEventListener('click', does);
  return made;
}

/** Wires the page's elements to `actions` and draws states. */
export class View {
  #actions;
  #drawn = {};

  constructor(actions) {
    this.#actions = actions;
    this.#buildPad();
    this.#listen();
    this.#recall();
  }

  /** Where the far end is heard. */
  get loudspeaker() {
    return element('remote');
  }

  /** What the account form holds. */
  get account() {
    const fields = Object.fromEntries(FIELDS.map((id) => [id, element(id).value.trim()]));
    return { ...fields, register: element('register').checked };
  }

  /** Suggests the demo's accounts and numbers. */
  suggest({ domain, port, accounts, services }) {
    show('demo', true);
    show('try', true);
    const fill = ([login, password]) => {
      Object.assign(element('login'), { value: login });
      Object.assign(element('password'), { value: password });
      Object.assign(element('domain'), { value: domain });
      Object.assign(element('port'), { value: port });
    };
    for (const account of accounts) {
      element('demo-accounts').append(button(account[0], () => fill(account)));
    }
    for (const [name, what] of services) {
      const [item, words] = [document.createElement('li'), document.createElement('span')];
      words.textContent = what;
      item.append(button(name, () => this.#suggestNumber(name)), words);
      element('services').append(item);
    }
    fill(accounts[0]);
  }

  /** Draws `state`: {session, account, call, message}. */
  draw({ session, account, call, message }) {
    const state = call?.state ?? 'none';
    const live = call !== null && state !== 'ended';
    document.body.dataset.session = session;
    document.body.dataset.call = state;
    text('session-state', SESSION[session]);
    show('message', Boolean(message));
    text('message', message);

    const online = ['established', 'ready', 'registered'].includes(session);
    show('signed-in', online);
    show('account-form', !online);
    element('connect').disabled = session === 'connecting';
    text('who', account ? account.name || account.login : '');
    text('where', account ? `${account.login}@${account.domain}` : '');

    text('call-state', call ? call.endText || CALL[state] : online ? 'Ready' : 'Sign in to call');
    text('peer', call ? call.name || call.peer : '');
    text('peer-number', call && call.name && call.name !== call.peer ? call.peer : '');
    show('timer', Boolean(call?.since));
    this.tick(call);
    show('dial-form', !live);
    show('pad', state !== 'incoming');
    show('tools', state === 'talking' || state === 'held');
    show('call', !live);
    element('call').disabled = !online;
    show('answer', state === 'incoming');
    show('hangup', live);
    text('hangup-label', state === 'incoming' ? 'Reject' : state === 'talking' || state === 'held' ? 'Hang up' : 'Cancel');
    this.#toggle('mute', call?.muted, 'Mute', 'Unmute');
    this.#toggle('hold', state === 'held', 'Hold', 'Resume');
    element('hold').disabled = Boolean(call?.waiting);
    document.title = state === 'incoming' ? `Call from ${call.name || call.peer}` : 'Tandem phone';
    this.#focus(state, online);
  }

  /** Draws how long `call` lasts. */
  tick(call) {
    if (call?.since) text('timer', duration(Math.floor(((call.until ?? Date.now()) - call.since) / 1000)));
  }

  /** Keeps the account, without its password, for the next visit. */
  remember() {
    const { password, ...rest } = this.account;
    localStorage.setItem(REMEMBERED, JSON.stringify(rest));
  }

  #recall() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    element('url').value = `${scheme}://${location.host}`;
    try {
      const kept = JSON.parse(localStorage.getItem(REMEMBERED) ?? '{}');
      for (const id of FIELDS) if (kept[id]) element(id).value = kept[id];
      element('register').checked = kept.register ?? true;
    } catch {
      localStorage.removeItem(REMEMBERED); // somebody else's
    }
  }

  #listen() {
    const on = (id, event, does) => element(id).addEventListener(event, (happened) => {
      happened.preventDefault();
      does();
    });
    on('account-form', 'submit', () => this.#actions.connect());
    on('disconnect', 'click', () => this.#actions.disconnect());
    on('dial-form', 'submit', () => this.#actions.dial(element('number').value.trim()));
    on('answer', 'click', () => this.#actions.answer());
    on('hangup', 'click', () => this.#actions.hangUp());
    on('mute', 'click', () => this.#actions.mute());
    on('hold', 'click', () => this.#actions.hold());
    // A field that is wrong and folded away cannot be seen.
    element('url').addEventListener('invalid', () => { element('more').open = true; });
    document.addEventListener('keydown', (event) => {
      const typing = event.target.matches('input') || event.ctrlKey || event.metaKey || event.altKey;
      if (!typing && KEYS.some(([key]) => key === event.key)) this.#press(event.key);
    });
  }

  #buildPad() {
    for (const [key, letters] of KEYS) {
      const [made, small] = [button(key, () => this.#press(key)), document.createElement('small')];
      made.dataset.key = key;
      made.setAttribute('aria-label', { '*': 'star', '#': 'hash' }[key] ?? key);
      small.textContent = letters;
      made.append(small);
      element('pad').append(made);
    }
  }

  #press(key) {
    const pressed = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    pressed.classList.add('pressed');
    setTimeout(() => pressed.classList.remove('pressed'), 150);
    if (!this.#actions.digit(key)) element('number').value += key;
  }

  #suggestNumber(name) {
    element('number').value = name;
    if (!element('call').disabled) element('call').focus();
  }

  #toggle(id, pressed, off, on) {
    element(id).classList.toggle('on', Boolean(pressed));
    element(id).querySelector('.label').textContent = pressed ? on : off;
  }

  /** Moves the focus where the next thing is to be done, once per change. */
  #focus(state, online) {
    const before = this.#drawn;
    this.#drawn = { state, online };
    if (state === 'incoming' && before.state !== 'incoming') element('answer').focus();
    else if (state === 'dialing' && before.state !== 'dialing') element('hangup').focus();
    else if (online && !before.online) element('number').focus();
  }
}
