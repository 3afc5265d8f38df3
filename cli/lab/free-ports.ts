// Ports that nobody uses now, below the range from which systems take the near end of outgoing connections:
// there a port could be gone at the moment when a killed process comes back for it.

import { type Server, createServer } from "node:net"
import { ChappeError } from "../../protocol/errors.ts"
import type { Random } from "../../keys/hedge.ts"

const lowest = 12_000
const highest = 32_000 // Linux starts at 32,768, others at 49,152
const triesMax = 1_000

/** Undefined where the port is taken. */
function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => {
      resolve(undefined)
    })
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      resolve(server)
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
  })
}

/** Distinct ports, free at this moment. Refused: `port-taken`. */
export async function freePorts(count: number, random: Random): Promise<readonly number[]> {
  const held = new Map<number, Server>()
  try {
    for (let tries = 0; held.size < count && tries < triesMax; tries++) {
      const [a = 0, b = 0, c = 0] = random(3)
      const port = lowest + (((a << 16) | (b << 8) | c) % (highest - lowest))
      const server = held.has(port) ? undefined : await hold(port)
      if (server !== undefined) held.set(port, server)
    }
    if (held.size < count)
      throw new ChappeError("port-taken", `fewer than ${count} ports are free on 127.0.0.1`)
    return [...held.keys()]
  } finally {
    await Promise.all([...held.values()].map(close))
  }
}
