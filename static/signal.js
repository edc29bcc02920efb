// The gateway's WebSocket: {"message": name, "data": [arguments]} both ways. Knows the wire, decides nothing.

/** After how long without any frame the gateway counts as gone; it pings every 5 s. */
const SILENCE_MS = 30_000;

/**
 * One socket. Fires `message` with detail {name, data, args}, and `close` with detail {code}; once closed it stays
 * closed.
 */
export class Signal extends EventTarget {
  #socket;
  #watch;
  #heard = Date.now();

  /** Connects to `url` and introduces the page with `account` (the fields of `connection`). */
  constructor(url, account) {
    super();
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => this.send('connection', account);
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#closed(event.code);
    this.#watch = setInterval(() => {
      if (Date.now() - this.#heard > SILENCE_MS) this.close();
    }, 5_000);
  }

  /** Sends one message; what is said into a closed socket is lost, and `close` has told so. */
  send(name, payload) {
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ message: name, data: [payload] }));
    }
  }

  /** Closes the socket and says so at once: a dead network would take its time. */
  close() {
    this.#socket.close();
    this.#closed(1006);
  }

  #receive(text) {
    this.#heard = Date.now();
    const { message: name, data: args } = JSON.parse(text);
    if (name === 'ping') {
      this.send('pong', null);
      return;
    }
    this.dispatchEvent(new CustomEvent('message', { detail: { name, args, data: args[0] || {} } }));
  }

  #closed(code) {
    clearInterval(this.#watch);
    this.#socket.onclose = this.#socket.onmessage = null;
    this.dispatchEvent(new CustomEvent('close', { detail: { code } }));
  }
}
