// Caps by address count from the first packet on, before anything is said.

import { once } from "node:events"
import { type Server, type Socket, connect, createServer } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import { capByAddress } from "../../relay/adapters/address-cap.ts"
import { portOf } from "../../relay/adapters/link-listener.ts"
import { relayLimits } from "../../relay/limits.ts"
import { Stage } from "../kit/running-relays.ts"

const stage = new Stage()
const sockets: Socket[] = []
const servers: Server[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
  await stage.end()
})

async function silent(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1")
  sockets.push(socket)
  socket.on("error", () => undefined)
  await once(socket, "connect")
  return socket
}

describe("connections that say nothing", () => {
  test("are so many from one address, and a place is free again when one goes", async () => {
    const server = createServer()
    servers.push(server)
    const accepted: Socket[] = []
    server.on("connection", (socket) => accepted.push(socket))
    capByAddress(server, { max: 2, until: "closed" })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const kept = [await silent(portOf(server)), await silent(portOf(server))]
    await once(await silent(portOf(server)), "close")
    expect(kept.map(({ destroyed }) => destroyed)).toEqual([false, false])
    kept[0]?.destroy()
    if (accepted[0]?.closed === false) await once(accepted[0], "close")
    const next = await silent(portOf(server))
    await once(await silent(portOf(server)), "close")
    expect([kept[1]?.destroyed, next.destroyed]).toEqual([false, false])
  })

  test("never take more than the handshakes of one address at a relay's links port", async () => {
    await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const kept: Socket[] = []
    for (let n = 0; n < relayLimits.handshakesPerAddressMax; n++)
      kept.push(await silent(relay.linksPort))
    await once(await silent(relay.linksPort), "close")
    // The handshake's time ends all of them: the first came first and is still there.
    expect(kept[0]?.destroyed).toBe(false)
  })
})
