// Durations and times as people write and read them.

import { ChappeError } from "../protocol/errors.ts"

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const
type Unit = keyof typeof unitSeconds

/** `90s`, `15m`, `8h`, `7d`, `2w`, or several: `1d12h`. Seconds. Refused: `usage`. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d{1,9})([smhdw])/gu)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text)
    throw new ChappeError("usage", `${text} is not a duration such as 90s, 15m, 8h, 7d or 2w`)
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitSeconds[unitOf(unit)], 0)
}

function unitOf(text: string | undefined): Unit {
  const units = ["s", "m", "h", "d", "w"] as const
  return units.find((unit) => unit === text) ?? "s"
}

/** The two largest units: `2 d 3 h`, `4 min 10 s`. */
export function formatDuration(seconds: number): string {
  const steps = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ] as const
  let left = Math.max(0, Math.round(seconds))
  const parts: string[] = []
  for (const [unit, size] of steps) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count} ${unit}`)
  }
  return parts.slice(0, 2).join(" ")
}

const two = (value: number): string => String(value).padStart(2, "0")

/** Local time with Zulu beside it: `2026-11-22 01:39:20 (00:39:20Z)`. `seconds` since 1970. */
export function formatTime(seconds: number): string {
  const at = new Date(seconds * 1000)
  const zulu = `${at.toISOString().slice(11, 19)}Z`
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const local = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return `${date} ${local} (${zulu})`
}

/** `1.2 MB`; decimal, as disks are sold. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"] as const
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? "B"}`
}
