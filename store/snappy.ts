// Opening of Snappy blocks, as LevelDB writes them into its tables. Bounded by the length that they name.

/** The number, 7 bits a byte, lowest first, and where it ends; undefined when it is cut. */
export function readVarint(
  bytes: Uint8Array,
  start: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let at = start, scale = 1; at < bytes.length && at < start + 8; at++, scale *= 128) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, end: at + 1 }
  }
  return undefined
}

/** Undefined when the bytes are no Snappy block of at most `most` bytes. */
export function openSnappy(bytes: Uint8Array, most: number): Uint8Array | undefined {
  const length = readVarint(bytes, 0)
  if (length === undefined || length.value > most) return undefined
  const out = new Uint8Array(length.value)
  let filled = 0
  let at = length.end
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0
    at += 1
    const kind = tag & 3
    if (kind === 0) {
      let size = tag >>> 2
      if (size >= 60) {
        const extra = size - 59
        size = littleEndian(bytes, at, extra)
        at += extra
      }
      size += 1
      if (at + size > bytes.length || filled + size > out.length) return undefined
      out.set(bytes.subarray(at, at + size), filled)
      at += size
      filled += size
      continue
    }
    const size = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const width = kind === 1 ? 1 : kind === 2 ? 2 : 4
    const low = littleEndian(bytes, at, width)
    const offset = kind === 1 ? ((tag >>> 5) << 8) | low : low
    at += width
    if (offset === 0 || offset > filled || filled + size > out.length) return undefined
    // Byte by byte: a copy may overlap itself.
    for (let n = 0; n < size; n++, filled++) out[filled] = out[filled - offset] ?? 0
  }
  return filled === out.length ? out : undefined
}

function littleEndian(bytes: Uint8Array, at: number, width: number): number {
  let value = 0
  for (let n = width - 1; n >= 0; n--) value = value * 256 + (bytes[at + n] ?? 0)
  return value
}
