/** SentencePiece's precompiled normalization: a double-array trie (darts-clone) of rules, and their replacements. */

const decoder = new TextDecoder();

export class CharacterMap {
  /** @param {Uint8Array} blob the trie's size in bytes, the trie in 32-bit units, replacements ended by NUL; or empty */
  constructor(blob) {
    const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
    const size = blob.length ? view.getUint32(0, true) : 0;
    this.units = Uint32Array.from({ length: size >> 2 }, (_, unit) => view.getUint32(4 + 4 * unit, true));
    this.replacements = blob.subarray(4 + size);
  }

  /**
   * The longest rule that matches UTF-8 `bytes` from `start`.
   * @returns {{length: number, text: string} | null} how many bytes it takes, and what it makes of them
   */
  longest(bytes, start) {
    const { units } = this;
    if (units.length === 0) return null;
    let found = null;
    let node = offset(units[0]);
    for (let place = start; place < bytes.length; place += 1) {
      node ^= bytes[place];
      const unit = units[node];
      if ((unit & 0x800000ff) !== bytes[place]) break; // the label; values have the high bit
      node ^= offset(unit);
      if ((unit >>> 8) & 1) found = { length: place + 1 - start, at: units[node] & 0x7fffffff };
    }
    return found && { length: found.length, text: this.replacement(found.at) };
  }

  replacement(at) {
    return decoder.decode(this.replacements.subarray(at, this.replacements.indexOf(0, at)));
  }
}

function offset(unit) {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
