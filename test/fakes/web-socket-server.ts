import { createHash } from 'node:crypto';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** The server's half of RFC 6455 for short text messages: enough for a fake, on a real socket. */
export type WebSocketPeer = { send(text: string): void; close(code?: number): void };

export const acceptWebSockets = (
  server: Server,
  onPeer: (peer: WebSocketPeer, onText: (listen: (text: string) => void) => void) => void,
): void => {
  server.on('upgrade', (request, socket: Duplex) => {
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => socket.destroy());
    const listeners: ((text: string) => void)[] = [];
    let buffered = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      for (let frame = readFrame(buffered); frame !== null; frame = readFrame(buffered)) {
        buffered = buffered.subarray(frame.length);
        if (frame.opcode === 1) for (const listener of listeners) listener(frame.payload.toString());
        if (frame.opcode === 9) socket.write(frameOf(10, frame.payload));
        if (frame.opcode === 8) socket.end(frameOf(8, frame.payload));
      }
    });
    onPeer(
      {
        send: (text) => void socket.write(frameOf(1, Buffer.from(text))),
        close: (code) =>
          void socket.end(frameOf(8, code === undefined ? Buffer.alloc(0) : Buffer.from([code >> 8, code & 0xff]))),
      },
      (listen) => void listeners.push(listen),
    );
  });
};

const frameOf = (opcode: number, payload: Buffer): Buffer => {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, payload.length])
      : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
};

/** A whole frame from the client (always masked), or null when more must come. */
const readFrame = (
  bytes: Buffer,
): { readonly opcode: number; readonly payload: Buffer; readonly length: number } | null => {
  if (bytes.length < 2) return null;
  const short = (bytes[1] ?? 0) & 0x7f;
  const at = short === 126 ? 4 : 2;
  if (bytes.length < at + 4) return null;
  const size = short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < at + 4 + size) return null;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + size));
  for (let index = 0; index < payload.length; index += 1)
    payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0);
  return { opcode: (bytes[0] ?? 0) & 0x0f, payload, length: at + 4 + size };
};
