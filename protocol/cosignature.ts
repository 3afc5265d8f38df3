// Cosignatures of C2SP tlog-cosignature, type 04: a witness says that at a time this was the largest
// consistent tree it had seen. docs/PROTOCOL.md, "Cosignatures".

import { concat, u64, utf8 } from "./bytes.ts"
import type { Verify } from "./crypto-ports.ts"

const timeMax = 2n ** 63n - 1n
const payloadBytes = 8 + 64

/**
 * `"cosignature/v1\ntime " ‖ decimal time ‖ "\n" ‖ note text`. It does not contain the witness's name:
 * one key for each witness.
 */
export function cosignatureMessage(time: bigint, text: string): Uint8Array {
  return utf8(`cosignature/v1\ntime ${time}\n${text}`)
}

/** `u64 time ‖ signature`, what follows the key id in a line. `time` in whole seconds since 1970. */
export function makeCosignature(options: {
  readonly text: string
  readonly time: number
  readonly sign: (message: Uint8Array) => Uint8Array
}): Uint8Array {
  if (!Number.isSafeInteger(options.time) || options.time < 0) throw new RangeError("time")
  const time = BigInt(options.time)
  return concat(u64(options.time), options.sign(cosignatureMessage(time, options.text)))
}

/**
 * The time when the cosignature holds, else undefined; other lengths and times above 2⁶³−1 do not hold.
 * A time above 2⁵³ loses its last digits in the answer, not in the check.
 */
export function cosignatureTime(options: {
  readonly verify: Verify
  readonly publicKey: Uint8Array
  readonly text: string
  readonly payload: Uint8Array
}): number | undefined {
  const { payload } = options
  if (payload.length !== payloadBytes) return undefined
  let time = 0n
  for (const byte of payload.subarray(0, 8)) time = time * 256n + BigInt(byte)
  if (time > timeMax) return undefined
  const message = cosignatureMessage(time, options.text)
  return options.verify(options.publicKey, message, payload.subarray(8)) ? Number(time) : undefined
}
