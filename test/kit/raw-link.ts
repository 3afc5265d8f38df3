// Connections to a relay's listeners as an attacker makes them: TLS with a member's certificate or without one,
// an upgrade by hand, and whatever bytes follow.

import { randomBytes } from "node:crypto"
import { type Socket, connect as connectTcp } from "node:net"
import { type TLSSocket, connect as connectTls } from "node:tls"
import { makeLinkCertificate } from "../../keys/link-certificate.ts"
import type { World } from "./world.ts"

const host = "127.0.0.1"

/** `from`: the loopback address that the relay sees. */
export function tcpTo(port: number, from: string): Socket {
  const socket = connectTcp({ host, port, localAddress: from })
  socket.on("error", () => socket.destroy())
  return socket
}

/** As that member where one is named; undefined when the relay ends it before it is secure. */
export async function tlsTo(
  port: number,
  from: string,
  member?: { readonly world: World; readonly name: string },
): Promise<TLSSocket | undefined> {
  const pem =
    member === undefined
      ? undefined
      : makeLinkCertificate({
          name: member.name,
          seed: member.world.member(member.name).link.seed,
          serial: randomBytes(16),
          notBefore: member.world.at,
        })
  const socket = connectTls({
    socket: tcpTo(port, from),
    ...(pem !== undefined && { cert: pem.certPem, key: pem.keyPem }),
    minVersion: "TLSv1.3",
    rejectUnauthorized: false,
  })
  return new Promise((resolve) => {
    socket.on("error", () => socket.destroy())
    socket.once("close", () => resolve(undefined))
    socket.once("secureConnect", () => resolve(socket))
  })
}

/** Upgrades to a WebSocket; undefined when the relay does not let it. */
export async function upgraded(socket: TLSSocket): Promise<TLSSocket | undefined> {
  socket.write(
    "GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  )
  return new Promise((resolve) => {
    socket.once("close", () => resolve(undefined))
    socket.once("data", (data: Buffer) => {
      resolve(data.toString("latin1").startsWith("HTTP/1.1 101") ? socket : undefined)
    })
  })
}

/** The head of a masked WebSocket frame with a mask of zeros; opcode 0 continues a message. */
export function frameHead(options: {
  readonly isFinal: boolean
  readonly opcode: 0 | 2
  readonly length: number
}): Uint8Array {
  const { isFinal, opcode, length } = options
  const first = (isFinal ? 0x80 : 0) | opcode
  if (length < 126) return Uint8Array.of(first, 0x80 | length, 0, 0, 0, 0)
  const head = new Uint8Array(14)
  head.set([first, 0x80 | 127])
  new DataView(head.buffer).setBigUint64(2, BigInt(length))
  return head
}

/** Resolves with the milliseconds until the socket is closed; undefined when it still stands at the end. */
export async function closedWithin(socket: Socket, ms: number): Promise<number | undefined> {
  const began = performance.now()
  if (socket.destroyed) return 0
  return new Promise((resolve) => {
    const end = setTimeout(() => resolve(undefined), ms)
    socket.once("close", () => {
      clearTimeout(end)
      resolve(performance.now() - began)
    })
  })
}
