// What the phone says to its user. One place, so that it can be read through, and translated.

/** Sentences for the ends of calls, by the gateway's `reason`. */
const ENDS = {
  hangup: 'Call ended',
  cancelled: 'Call cancelled',
  busy: 'The line is busy',
  declined: 'The call was declined',
  no_answer: 'Nobody answered',
  not_found: 'There is nobody of that name or number',
  forbidden: 'The PBX does not allow this call',
  no_common_codec: 'The other phone shares no sound format with us',
  bad_description: 'The other phone described its sound in a way that we cannot use',
  bad_request: 'This number cannot be called',
  signalling_timeout: 'The PBX did not answer',
  unreachable: 'The PBX cannot be reached',
  refused: 'The call was refused',
  ice_failed: 'No sound: the network lets no media through to the gateway',
  dtls_failed: 'No sound: the encryption with the gateway could not be agreed',
  session_closed: 'The other side went away',
  overload: 'The gateway is busy; try again in a minute',
  shutdown: 'The gateway is stopping',
  internal: 'The gateway failed; its log has the reason',
};

/** Why a call is over, for the user. `data` is the object of a `finish` frame. */
export function callEnd(data) {
  const sentence = ENDS[data.reason] || (data.status === 'FAILED' ? 'The call failed' : 'Call ended');
  const code = data.sipStatus && !['hangup', 'cancelled'].includes(data.reason) ? ` (${data.sipStatus})` : '';
  return data.reason === 'bad_request' && data.detail ? `${sentence}: ${data.detail}` : sentence + code;
}

/** A `fail` frame, for the user. */
export function failure(data) {
  const info = data.info || 'no reason was given';
  if (data.apiMethod === 'RegistrationStatusEvent') {
    if ([401, 403].includes(data.sipStatus)) return 'The PBX does not accept this login and password.';
    if (data.sipStatus === 404) return 'The PBX does not know this account.';
    return `The PBX cannot be reached (${info}). Trying again …`;
  }
  if (data.apiMethod === 'ConnectionStatusEvent') return `The gateway refused the account: ${info}`;
  return `That did not work: ${info}`;
}

/** A failure of `getUserMedia` or of the peer connection, for the user. */
export function mediaFailure(error) {
  if (error.name === 'InsecurePage') {
    return 'Browsers give the microphone only to https pages and to localhost. Open this page by https (port 8443).';
  }
  if (error.name === 'NotAllowedError') return 'The microphone is blocked. Allow it in the address bar and call again.';
  if (error.name === 'NotFoundError') return 'No microphone was found. Plug one in and call again.';
  if (error.name === 'NotReadableError') return 'Another program holds the microphone.';
  return `The browser cannot make the call: ${error.message || error.name}`;
}

/** Why the socket is closed, for the user. */
export function closed(code) {
  if (code === 1013) return 'The gateway is busy; it closed the connection.';
  if (code === 1001) return 'The gateway stopped.';
  return 'The connection to the gateway is lost.';
}

/** State of the session, for the pill. */
export const SESSION = {
  off: 'Not connected',
  connecting: 'Connecting …',
  established: 'Registering …',
  ready: 'Connected',
  registered: 'Registered',
  failed: 'Not connected',
};

/** State of the call, for the panel. */
export const CALL = {
  dialing: 'Calling …',
  ringing: 'Ringing …',
  incoming: 'Incoming call',
  answering: 'Connecting …',
  talking: 'In call',
  held: 'On hold',
};

/** `seconds` as `m:ss` or `h:mm:ss`. */
export function duration(seconds) {
  const two = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
