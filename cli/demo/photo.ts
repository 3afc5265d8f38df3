// The photo of a child who does not exist: a drawn face, as a PNG.

import { deflateSync } from "node:zlib"
import { concat, u32, utf8 } from "../../protocol/bytes.ts"

const width = 96
const height = 120
const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

type Colour = readonly [red: number, green: number, blue: number]
const sky: Colour = [198, 216, 230]
const coat: Colour = [222, 170, 40]
const skin: Colour = [224, 178, 142]
const hair: Colour = [74, 48, 30]
const dark: Colour = [40, 30, 28]

const isIn = (x: number, y: number, cx: number, cy: number, rx: number, ry: number): boolean =>
  ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1

function colourAt(x: number, y: number): Colour {
  if (isIn(x, y, 38, 54, 3, 3) || isIn(x, y, 58, 54, 3, 3)) return dark
  if (isIn(x, y, 48, 74, 9, 5) && !isIn(x, y, 48, 71, 10, 5)) return dark
  if (isIn(x, y, 48, 58, 22, 28) && y > 38) return skin
  if (isIn(x, y, 48, 50, 27, 30)) return hair
  if (isIn(x, y, 48, 130, 44, 42)) return coat
  return sky
}

/** CRC-32 of PNG chunks (ISO 3309). */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb8_8320 : 0)
  }
  return (crc ^ 0xffff_ffff) >>> 0
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const typed = concat(utf8(type), data)
  return concat(u32(data.length), typed, u32(crc32(typed)))
}

export function drawPhoto(): Uint8Array {
  const rows = new Uint8Array(height * (1 + 3 * width))
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) rows.set(colourAt(x, y), y * (1 + 3 * width) + 1 + 3 * x)
  // 8 bits a channel, red green blue; no interlacing.
  const header = concat(u32(width), u32(height), Uint8Array.of(8, 2, 0, 0, 0))
  return concat(
    signature,
    chunk("IHDR", header),
    chunk("IDAT", new Uint8Array(deflateSync(rows))),
    chunk("IEND", new Uint8Array(0)),
  )
}
