import { detect } from 'chardet';

/** Bytes of a text file as a string, or null when they are no text. Order: byte order mark, UTF-8, what the page declares, a guess. */
export const decodeText = (bytes: Uint8Array): string | null => {
  const marked = byMark(bytes) ?? byZeroBytes(bytes);
  if (marked !== null) return decode(bytes, marked);
  if (controlShare(bytes) > 0.05) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return decode(bytes, declared(bytes) ?? guessed(bytes) ?? 'windows-1252');
  }
};

const byMark = (bytes: Uint8Array): string | null => {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return null;
};

/** UTF-16 without a mark: Latin text has a zero in every second byte. */
const byZeroBytes = (bytes: Uint8Array): string | null => {
  const length = Math.min(bytes.length, 4_096) & ~1;
  if (length < 8) return null;
  let even = 0;
  let odd = 0;
  for (let index = 0; index < length; index += 2) {
    if (bytes[index] === 0) even++;
    if (bytes[index + 1] === 0) odd++;
  }
  const half = length / 2;
  if (odd > half * 0.6 && even < half * 0.05) return 'utf-16le';
  if (even > half * 0.6 && odd < half * 0.05) return 'utf-16be';
  return null;
};

const controlShare = (bytes: Uint8Array): number => {
  const length = Math.min(bytes.length, 8_192);
  let controls = 0;
  for (let index = 0; index < length; index++) {
    const byte = bytes[index] ?? 0;
    // Tab, line feed, form feed, carriage return and escape (ISO-2022) belong to text.
    if (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13 && byte !== 27) controls++;
  }
  return length === 0 ? 0 : controls / length;
};

const declared = (bytes: Uint8Array): string | null => {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4_096)).toString('latin1');
  const label = /<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w-]{2,40})/i.exec(head)?.[1];
  return label !== undefined && isKnown(label) ? label : null;
};

const guessed = (bytes: Uint8Array): string | null => {
  const label = detect(bytes.subarray(0, 65_536));
  return label !== null && isKnown(label) ? label : null;
};

const isKnown = (label: string): boolean => {
  try {
    return new TextDecoder(label).encoding !== '';
  } catch {
    return false;
  }
};

const decode = (bytes: Uint8Array, label: string): string => new TextDecoder(label).decode(bytes);
