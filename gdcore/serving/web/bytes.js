/** Bytes as printable characters, which byte-level tokens are written in: those that print stand for themselves. */

const CHARACTER_OF = [];
const BYTE_OF = new Map();
let spare = 256;
for (let byte = 0; byte < 256; byte++) {
  const prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  CHARACTER_OF[byte] = String.fromCodePoint(prints ? byte : spare++);
  BYTE_OF.set(CHARACTER_OF[byte], byte);
}

const encoder = new TextEncoder();
/** What is no UTF-8, as half a character, becomes U+FFFD; a byte order mark is a character like any other. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function toBytes(text) {
  return Array.from(encoder.encode(text), (byte) => CHARACTER_OF[byte]).join("");
}

export function fromBytes(tokens) {
  const bytes = tokens.flatMap((token) => {
    const own = Array.from(token, (character) => BYTE_OF.get(character));
    return own.includes(undefined) ? [...encoder.encode(token)] : own;
  });
  return decoder.decode(new Uint8Array(bytes));
}
