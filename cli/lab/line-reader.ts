// A child process's lines.

import type { Readable } from "node:stream"

/** Lines longer than this are not events of ours. */
const lineMax = 65_536

export function onLines(stream: Readable, take: (line: string) => void): void {
  let left = ""
  stream.setEncoding("utf8")
  stream.on("data", (part: string) => {
    left += part
    const lines = left.split("\n")
    left = (lines.pop() ?? "").slice(0, lineMax)
    for (const line of lines) if (line.trim() !== "") take(line)
  })
}
