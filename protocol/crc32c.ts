// CRC-32C (Castagnoli), the sum that LevelDB puts beside each block and log record.

const polynomial = 0x82f63b78

/** Eight tables: eight bytes a step. */
const tables: readonly Uint32Array[] = makeTables()

function makeTables(): readonly Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1
    return sum
  })
  const all = [first]
  for (let n = 1; n < 8; n++) {
    const before = all[n - 1] ?? first
    all.push(before.map((sum) => (first[sum & 0xff] ?? 0) ^ (sum >>> 8)))
  }
  return all
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as readonly [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

export function crc32c(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let sum = 0xffff_ffff
  let at = 0
  for (; at + 8 <= bytes.length; at += 8) {
    const low = (view.getUint32(at, true) ^ sum) >>> 0
    const high = view.getUint32(at + 4, true)
    sum =
      (t7[low & 0xff] ?? 0) ^
      (t6[(low >>> 8) & 0xff] ?? 0) ^
      (t5[(low >>> 16) & 0xff] ?? 0) ^
      (t4[low >>> 24] ?? 0) ^
      (t3[high & 0xff] ?? 0) ^
      (t2[(high >>> 8) & 0xff] ?? 0) ^
      (t1[(high >>> 16) & 0xff] ?? 0) ^
      (t0[high >>> 24] ?? 0)
  }
  for (; at < bytes.length; at++) sum = (t0[(sum ^ view.getUint8(at)) & 0xff] ?? 0) ^ (sum >>> 8)
  return (sum ^ 0xffff_ffff) >>> 0
}
