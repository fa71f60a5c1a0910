/**
 * OPAQUE's client half: the password never leaves this device, not even hashed, and what it opens (the
 * export key) the server never learns.
 *
 * The library is loaded when first asked for and is synchronous for half a second a step, so browsers run
 * this in the wasm worker. The protocol binds the handle and the server's name; a server with another key
 * than the one registered with fails like a wrong password.
 */
import { base64urlToBytes, type Bytes } from '#lib/std/bytes.ts';
import { assert } from '#lib/std/assert.ts';

export interface OpaqueService {
  readonly startRegistration: (input: { readonly password: string }) => Promise<{ readonly state: string; readonly registrationRequest: string }>;
  readonly finishRegistration: (input: { readonly password: string; readonly handle: string; readonly state: string; readonly registrationResponse: string }) =>
    Promise<{ readonly registrationRecord: string; readonly exportKey: Bytes; readonly serverPublicKey: string } | undefined>;
  readonly startLogin: (input: { readonly password: string }) => Promise<{ readonly state: string; readonly loginRequest: string }>;
  /** Undefined for a wrong password, and for an unknown account, which answers alike. */
  readonly finishLogin: (input: { readonly password: string; readonly handle: string; readonly state: string; readonly loginResponse: string }) =>
    Promise<{ readonly loginFinish: string; readonly exportKey: Bytes; readonly serverPublicKey: string } | undefined>;
}

/** Both sides name the server so; the client's name is its handle. */
export const opaqueServerName = 'godwit';
/** 64 MiB and a quarter of a second: what a phone can spare (crypto.md §6). */
const keyStretching = 'memory-constrained';

export function createOpaqueService(): OpaqueService {
  async function load() {
    const opaque = await import('@serenity-kit/opaque');
    await opaque.ready;
    return opaque.client;
  }

  return {
    async startRegistration({ password }) {
      const { clientRegistrationState, registrationRequest } = (await load()).startRegistration({ password });
      return { state: clientRegistrationState, registrationRequest };
    },
    async finishRegistration({ password, handle, state, registrationResponse }) {
      const client = await load();
      try {
        const done = client.finishRegistration({
          password, clientRegistrationState: state, registrationResponse, identifiers: { client: handle, server: opaqueServerName }, keyStretching,
        });
        return { registrationRecord: done.registrationRecord, exportKey: exportKeyBytes(done.exportKey), serverPublicKey: done.serverStaticPublicKey };
      } catch {
        return undefined; // the server's answer is not of the protocol; the library throws prose
      }
    },
    async startLogin({ password }) {
      const { clientLoginState, startLoginRequest } = (await load()).startLogin({ password });
      return { state: clientLoginState, loginRequest: startLoginRequest };
    },
    async finishLogin({ password, handle, state, loginResponse }) {
      const client = await load();
      let done;
      try {
        done = client.finishLogin({
          password, clientLoginState: state, loginResponse, identifiers: { client: handle, server: opaqueServerName }, keyStretching,
        });
      } catch {
        return undefined; // as above
      }
      return done && { loginFinish: done.finishLoginRequest, exportKey: exportKeyBytes(done.exportKey), serverPublicKey: done.serverStaticPublicKey };
    },
  };
}

function exportKeyBytes(text: string): Bytes {
  const bytes = base64urlToBytes(text);
  assert(bytes?.length === 64, 'an export key is 64 bytes');
  return bytes;
}
