/** A WebSocket as sync's link. Binary both ways; text from a server is no frame of ours and ends it. */
import type { Link } from '#lib/sync/types.ts';

/** The part of the WebSocket constructor we use: the browser's own, or a library's in Node. */
export interface SocketMaker {
  new (url: string): {
    binaryType: string;
    onopen: ((event: never) => void) | null;
    onmessage: ((event: never) => void) | null;
    onclose: ((event: never) => void) | null;
    onerror: ((event: never) => void) | null;
    send: (data: Uint8Array<ArrayBuffer>) => void;
    close: () => void;
  };
}

export function socketLink(url: string, Socket: SocketMaker): Link {
  return {
    connect(handlers) {
      const socket = new Socket(url);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => handlers.onOpen();
      socket.onmessage = (event: { readonly data: unknown }) => {
        if (event.data instanceof ArrayBuffer) handlers.onFrame(new Uint8Array(event.data));
        else socket.close();
      };
      socket.onclose = (event: { readonly code: number; readonly reason: string }) => handlers.onClose(event.code, event.reason);
      // An error is always followed by a close, which says what there is to say.
      socket.onerror = () => {};
      return { send: (bytes) => socket.send(bytes), close: () => socket.close() };
    },
  };
}
