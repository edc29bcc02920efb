// Sound: the microphone, one peer connection per call, the loudspeaker. One offer and one answer per call, without
// trickle: the gateway learns our address from our checks.

/** The sound of one call. Fires `failed` when the path to the gateway breaks. */
export class Media extends EventTarget {
  #peer = new RTCPeerConnection();
  #microphone = null;
  #element;
  #closed = false;

  /** `element` plays what the far end says. */
  constructor(element) {
    super();
    this.#element = element;
    this.#peer.ontrack = (event) => {
      this.#element.srcObject = event.streams[0] || new MediaStream([event.track]);
    };
    this.#peer.onconnectionstatechange = () => {
      if (this.#peer.connectionState === 'failed') this.dispatchEvent(new Event('failed'));
    };
  }

  /** Our offer, for a call that we make. */
  async offer() {
    await this.#openMicrophone();
    await this.#peer.setLocalDescription(await this.#peer.createOffer());
    return this.#peer.localDescription.sdp;
  }

  /** Our answer to the gateway's `offer`, for a call that we take. */
  async answer(offer) {
    await this.#peer.setRemoteDescription({ type: 'offer', sdp: offer });
    await this.#openMicrophone();
    await this.#peer.setLocalDescription(await this.#peer.createAnswer());
    return this.#peer.localDescription.sdp;
  }

  /** The gateway's answer to our offer. */
  async accept(answer) {
    if (this.#peer.signalingState === 'have-local-offer') {
      await this.#peer.setRemoteDescription({ type: 'answer', sdp: answer });
    }
  }

  /** The far end hears silence, or us again. */
  mute(muted) {
    for (const track of this.#microphone?.getTracks() ?? []) track.enabled = !muted;
  }

  /** Lets go of microphone and network. */
  close() {
    this.#closed = true;
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#peer.close();
    this.#element.srcObject = null;
  }

  async #openMicrophone() {
    if (!navigator.mediaDevices) {
      throw new DOMException('this page is not served by https', 'InsecurePage');
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    this.#microphone = stream;
    if (this.#closed) {
      // Hung up while the browser was asking the user.
      for (const track of stream.getTracks()) track.stop();
      throw new DOMException('the call is over', 'AbortError');
    }
    for (const track of stream.getTracks()) this.#peer.addTrack(track, stream);
  }
}
