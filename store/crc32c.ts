// CRC-32C (Castagnoli), the sum that LevelDB puts beside each block and log record.

const polynomial = 0x82f63b78

const t0 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1
  return sum
})
// Eight tables: eight bytes a step.
const t1 = afterByte(t0)
const t2 = afterByte(t1)
const t3 = afterByte(t2)
const t4 = afterByte(t3)
const t5 = afterByte(t4)
const t6 = afterByte(t5)
const t7 = afterByte(t6)

function afterByte(table: Uint32Array): Uint32Array {
  return table.map((sum) => (t0[sum & 0xff] ?? 0) ^ (sum >>> 8))
}

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
