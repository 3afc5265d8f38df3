// Which of the waiting writes share a commit. What a commit writes about a message that it takes in is final
// only once the commit is sealed, so whatever else concerns that message waits for the next one.

import { toHex } from "../../protocol/bytes.ts"
import { relayLimits } from "../limits.ts"

export type Together = {
  readonly bodyBytes: number
  /** The message that is taken in. */
  readonly holds?: Uint8Array | undefined
  /** Messages whose shares may end. */
  readonly settles?: readonly Uint8Array[] | undefined
}

/** How many from the front of the line go together; 0 only when nothing waits. */
export function countTogether(waiting: readonly Together[]): number {
  const held = new Set<string>()
  let bytes = 0
  let count = 0
  for (const { bodyBytes, holds, settles = [] } of waiting) {
    if (count >= relayLimits.commitIntentsMax) break
    if (count > 0 && bytes + bodyBytes > relayLimits.commitBodyBytesMax) break
    const concerns = [...(holds === undefined ? [] : [holds]), ...settles]
    if (held.size > 0 && concerns.some((messageId) => held.has(toHex(messageId)))) break
    if (holds !== undefined) held.add(toHex(holds))
    bytes += bodyBytes
    count += 1
  }
  return count
}
