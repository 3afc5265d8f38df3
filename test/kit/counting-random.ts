// Randomness for tests: the same seed gives the same bytes, and no call repeats an earlier one.

import { sha512 } from "../../keys/crypto.ts"
import type { Random } from "../../keys/hedge.ts"
import { concat, emptyBytes, utf8 } from "../../protocol/bytes.ts"

export function countingRandom(seed: string): Random {
  let block = 0
  return (length) => {
    let bytes = emptyBytes
    while (bytes.length < length) bytes = concat(bytes, sha512(utf8(`${seed} ${block++}`)))
    return bytes.slice(0, length)
  }
}
