// How many connections of one address a listener bears, counted from the first TCP packet on: who connects and
// says nothing must not take the place of others for as long as a handshake may last. SECURITY.md, "Limits".

import type { Server, Socket } from "node:net"

/** `until`: when a connection no longer counts: once its TLS handshake is done, or when it closes. */
export function capByAddress(
  server: Server,
  { max, until }: { readonly max: number; readonly until: "secure" | "closed" },
): void {
  const portsOf = new Map<string, Set<number>>()
  const release = (address: string, port: number): void => {
    const ports = portsOf.get(address)
    ports?.delete(port)
    if (ports?.size === 0) portsOf.delete(address)
  }
  server.on("connection", (socket: Socket) => {
    const { remoteAddress: address, remotePort: port } = socket
    // It is gone already.
    if (address === undefined || port === undefined) return
    const ports = portsOf.get(address) ?? new Set<number>()
    if (ports.size >= max) {
      socket.destroy()
      return
    }
    portsOf.set(address, ports.add(port))
    socket.once("close", () => release(address, port))
  })
  if (until === "secure")
    server.on("secureConnection", ({ remoteAddress: address, remotePort: port }: Socket) => {
      if (address !== undefined && port !== undefined) release(address, port)
    })
}
