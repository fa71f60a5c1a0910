/**
 * One link to the server, kept up: token, HELLO, pings, back-off.
 *
 * A browser can leave a socket open that reaches nobody, so only an answered ping says that the link
 * lives [SC30]. Every ping also lets the server heal what its bus lost, which is why it is sent under
 * traffic too. The close codes of protocol/codes.ts decide what comes next.
 */
import { closeCodes, type NextStep } from '#lib/protocol/codes.ts';
import { decodeDownFrame, encodeUpFrame, protocolVersion, type DownFrame, type DownFrameOf, type UpFrame } from '#lib/protocol/frame.ts';
import { retryDelayMs } from '#lib/std/backoff.ts';
import { textToBytes } from '#lib/std/bytes.ts';
import type { ConnectionState, LinkConnection, SyncDeps } from './types.ts';

/** Below the 60 s after which proxies cut a quiet socket, and often enough to notice a dead one. */
export const pingIntervalMs = 25_000;
/** A mobile network that takes longer than this to answer is better dialled anew. */
export const pongTimeoutMs = 10_000;
/** From connecting to WELCOME. */
export const welcomeTimeoutMs = 15_000;

export interface Connection {
  readonly start: () => void;
  readonly stop: () => void;
  readonly poke: () => void;
  /** False when there is nobody to send to. */
  readonly send: (frame: UpFrame) => boolean;
  readonly isUp: () => boolean;
  /** `settled` runs when the server has answered everything sent before, unless the link ends first. */
  readonly barrier: (settled: () => void) => void;
  /** Something of ours failed: drop the link, back off, begin again. */
  readonly reset: () => void;
  /** This link owes us an answer that must not come late: another one begins with nothing owed. */
  readonly redial: () => void;
  readonly state: () => Omit<ConnectionState, 'state'> & { readonly state: Exclude<ConnectionState['state'], 'catching-up'> };
}

export interface ConnectionHandlers {
  readonly onWelcome: (frame: DownFrameOf<'welcome'>) => void;
  readonly onFrame: (frame: DownFrame) => void;
  /** The link was up and is not any more. */
  readonly onDown: () => void;
  readonly onState: () => void;
}

type Deps = Pick<SyncDeps, 'clock' | 'timers' | 'random' | 'link' | 'token'> & { readonly events: Pick<SyncDeps['events'], 'clockOffset' | 'failed'> };

const nextStepByCode = new Map<number, NextStep>(Object.values(closeCodes).map(({ code, next }) => [code, next]));
/** Where `wait` and `stop` begin: delays of up to 16 and 30 s. */
const waitAttempt = 4;
const stopAttempt = 6;
/** A token can expire on the way; refused this often in a row it is the session that is over. */
const tokenRefusalsMax = 2;

export function createConnection({ clock, timers, random, link, token, events }: Deps, handlers: ConnectionHandlers): Connection {
  let wanted = false;
  let state: ReturnType<Connection['state']> = { state: 'offline', retryAt: undefined };
  /** Moves with every attempt: what belongs to an older one is ignored. */
  let era = 0;
  let attempt = 0;
  let tokenRefusals = 0;
  /** Faults of ours in a row; being welcome does not mend them, staying up does. */
  let faults = 0;
  let current: LinkConnection | undefined;
  let isWelcome = false;
  let nonce = 0;
  let barriers = new Map<number, () => void>();
  let pingSentAt: number | undefined;
  let receivedSincePing = false;
  let cancelTimer = nothing;
  let cancelPong = nothing;

  function setState(next: typeof state): void {
    if (state.state === next.state && state.retryAt === next.retryAt) return;
    state = next;
    handlers.onState();
  }

  function dial(): void {
    const mine = (era += 1);
    cancelTimer();
    setState({ state: 'connecting', retryAt: undefined });
    cancelTimer = timers.after(welcomeTimeoutMs, () => drop(1006));
    void ask(mine);
  }

  async function ask(mine: number): Promise<void> {
    let answer: Awaited<ReturnType<SyncDeps['token']>>;
    try {
      answer = await token();
    } catch (error) {
      events.failed(error);
      if (mine === era) retryLater();
      return;
    }
    if (mine !== era) return;
    if (!answer.ok) {
      if (answer.error === 'offline') return retryLater();
      return rest('sign-in-needed');
    }
    const hello = textToBytes(answer.value);
    const opened = link.connect({
      onOpen: () => void (mine === era && transmit({ type: 'hello', proto: protocolVersion, token: hello, flags: 0 })),
      onFrame: (bytes) => void (mine === era && receive(bytes)),
      onClose: (code) => void (mine === era && closed(code)),
    });
    // A link may open, or close, before `connect` returns.
    if (mine === era) current = opened;
    else opened.close();
  }

  function transmit(frame: UpFrame): boolean {
    if (!current) {
      const mine = era;
      // onOpen came before `connect` returned its connection.
      queueMicrotask(() => void (mine === era && current && transmit(frame)));
      return true;
    }
    current.send(encodeUpFrame(frame));
    return true;
  }

  function receive(bytes: Uint8Array): void {
    receivedSincePing = true;
    const decoded = decodeDownFrame(bytes);
    if (!decoded.ok) {
      events.failed(new Error(`a frame from the server does not decode: ${decoded.error}`));
      attempt = Math.max(attempt, waitAttempt);
      return drop(1006);
    }
    const frame = decoded.value;
    if (frame.type === 'welcome') return isWelcome ? undefined : welcome(frame);
    if (!isWelcome) return;
    if (frame.type === 'pong') return pong(frame);
    handlers.onFrame(frame);
  }

  function welcome(frame: DownFrameOf<'welcome'>): void {
    isWelcome = true;
    attempt = 0;
    tokenRefusals = 0;
    cancelTimer();
    setState({ state: 'online', retryAt: undefined });
    events.clockOffset(frame.serverTime - clock.now());
    armPing();
    handlers.onWelcome(frame);
  }

  function armPing(): void {
    cancelTimer();
    cancelTimer = timers.after(pingIntervalMs, () => {
      faults = 0;
      ping();
      armPing();
    });
  }

  function ping(settled?: () => void): void {
    nonce = (nonce + 1) % 2 ** 32;
    if (settled) barriers.set(nonce, settled);
    pingSentAt = clock.now();
    transmit({ type: 'ping', nonce });
    // One deadline at a time: pings that follow each other quickly do not put it off.
    if (cancelPong !== nothing) return;
    receivedSincePing = false;
    cancelPong = timers.after(pongTimeoutMs, () => {
      cancelPong = nothing;
      if (!receivedSincePing) drop(1006);
    });
  }

  function pong({ nonce: answered, serverTime }: DownFrameOf<'pong'>): void {
    cancelPong();
    cancelPong = nothing;
    const now = clock.now();
    if (answered === nonce && pingSentAt !== undefined && now >= pingSentAt) events.clockOffset(Math.round(serverTime - (pingSentAt + now) / 2));
    const settled = barriers.get(answered);
    barriers.delete(answered);
    settled?.();
  }

  /** Ends the link from this side. */
  function drop(code: number): void {
    const old = current;
    closed(code);
    old?.close();
  }

  function closed(code: number): void {
    era += 1;
    const wasUp = isWelcome;
    forget();
    const next = nextStepByCode.get(code) ?? 'retry';
    if (next === 'update') rest('update-needed');
    else if (next === 'sign-in' && (tokenRefusals += 1) >= tokenRefusalsMax) rest('sign-in-needed');
    else {
      if (next === 'wait') attempt = Math.max(attempt, waitAttempt);
      if (next === 'stop') {
        events.failed(new Error(`the server refused what we sent: close code ${code}`));
        attempt = Math.max(attempt, stopAttempt);
      }
      if (wanted) retryLater();
    }
    if (wasUp) handlers.onDown();
  }

  function forget(): void {
    current = undefined;
    isWelcome = false;
    barriers = new Map();
    cancelTimer();
    cancelPong();
    cancelPong = nothing;
  }

  function retryLater(): void {
    cancelTimer();
    const delay = retryDelayMs({ attempt: Math.max(attempt, faults), random });
    attempt += 1;
    setState({ state: 'offline', retryAt: clock.now() + delay });
    cancelTimer = timers.after(delay, dial);
  }

  /** Nothing to do until somebody acts: sign in, or load the new version. */
  function rest(why: 'sign-in-needed' | 'update-needed'): void {
    era += 1;
    forget();
    setState({ state: why, retryAt: undefined });
  }

  return {
    start() {
      if (wanted) return;
      wanted = true;
      dial();
    },
    stop() {
      wanted = false;
      const old = current;
      const wasUp = isWelcome;
      era += 1;
      forget();
      setState({ state: 'offline', retryAt: undefined });
      old?.close();
      if (wasUp) handlers.onDown();
    },
    poke() {
      if (!wanted || state.state === 'update-needed') return;
      attempt = 0;
      faults = 0;
      tokenRefusals = 0;
      if (isWelcome) ping();
      else if (state.state !== 'connecting') dial();
    },
    send: (frame) => isWelcome && transmit(frame),
    isUp: () => isWelcome,
    barrier: (settled) => ping(settled),
    redial() {
      if (isWelcome) drop(1006);
    },
    reset() {
      faults += 1;
      if (current || isWelcome) drop(1006);
    },
    state: () => state,
  };
}

function nothing(): void {}
