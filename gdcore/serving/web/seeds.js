/** A text's own seed, from that of the call: what gdcore/uniforms.py computes (SplitMix64), in whole numbers of 64 bits. */

const GOLDEN_64 = 0x9e3779b97f4a7c15n;

/** @param {bigint} x any @returns {bigint} 64 bits, unsigned */
function mixed(x) {
  x = BigInt.asUintN(64, x + GOLDEN_64);
  x = BigInt.asUintN(64, (x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n);
  x = BigInt.asUintN(64, (x ^ (x >> 27n)) * 0x94d049bb133111ebn);
  return x ^ (x >> 31n);
}

/** The seed of a call's only text. @param {bigint} seed @returns {bigint} signed */
export function rowSeed(seed) {
  return BigInt.asIntN(64, mixed(mixed(BigInt.asUintN(64, seed))));
}

/** Those of a text's candidates; the first is the text's own. @param {bigint} own */
export function candidateSeeds(own, num) {
  const base = mixed(BigInt.asUintN(64, own));
  const others = Array.from({ length: num }, (_, j) => BigInt.asIntN(64, mixed(base + BigInt(j) * GOLDEN_64)));
  return [own, ...others.slice(1)];
}
