// A node's end of a link, over a real TLS socket: says HELLO, seals and submits, takes what comes. It keeps
// nothing and checks little; it is the relay that is tested with it.

import { type TLSSocket, connect } from "node:tls"
import { WebSocket } from "ws"
import { logStatementId, openAcceptance } from "../../keys/accepted-entry.ts"
import { signBatch } from "../../keys/batch-signer.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { makeLinkCertificate } from "../../keys/link-certificate.ts"
import { openHello, signHello } from "../../keys/link-hello.ts"
import { dayKeyPair, dayOf } from "../../keys/prekey-period.ts"
import {
  type SealedEnvelope,
  draftContent,
  draftIdentity,
  sealEnvelope,
} from "../../keys/seal-envelope.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { emptyBytes, utf8 } from "../../protocol/bytes.ts"
import type { Value } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { type Lane, contentPae } from "../../protocol/envelope.ts"
import { commitmentOf } from "../../protocol/entry.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import type {
  Acceptance,
  AttachmentRef,
  LinkMessage,
  LogStatement,
} from "../../protocol/link-messages.ts"
import { LinkSession } from "../../protocol/link-session.ts"
import { encodeReceipt, receiptIdOf, receiptSteps } from "../../protocol/receipt.ts"
import { zeroHash } from "../../protocol/chain.ts"
import { parseCheckpointText } from "../../protocol/checkpoint.ts"
import {
  controlPae,
  encodeControl,
  encodeSignedControl,
  probeBody,
} from "../../protocol/control.ts"
import { cosignNote, formatSignatureLine, parseNote } from "../../protocol/signed-note.ts"
import { parseAddCheckpoint } from "../../protocol/witness-request.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import type { Request } from "../../relay/core/links.ts"
import { PeerLink } from "../../relay/core/peer-link.ts"
import type { Journal } from "../../relay/core/ports.ts"
import { countingRandom } from "./counting-random.ts"
import type { World, WorldMember } from "./world.ts"

export const silentJournal: Journal = { info: () => undefined, warn: () => undefined }

export type SealOptions = {
  readonly to: readonly string[]
  readonly document?: Value
  readonly lane?: Lane
  readonly created?: number
  readonly expires?: number
  readonly attachments?: readonly AttachmentRef[]
}

const kemKeys = new WeakMap<World, Map<string, Uint8Array>>()

/** A member's prekey of the world's day. */
function kemKeyOf(world: World, node: string): Uint8Array {
  const known = kemKeys.get(world) ?? new Map<string, Uint8Array>()
  kemKeys.set(world, known)
  const period = world.members.get(node)?.periods[0]
  const key =
    known.get(node) ??
    (period === undefined ? undefined : dayKeyPair(period, dayOf(world.at))?.publicKey)
  if (key === undefined) throw new Error(`no prekey of ${node}`)
  known.set(node, key)
  return key
}

export type Submission = {
  readonly sealed: SealedEnvelope
  readonly request: Omit<LinkMessage<"submit">, "request">
}

/** What the relay asked of this node. */
export type Asked = { readonly from: string; readonly message: LinkMessage }

export class TestNode {
  readonly world: World
  readonly member: WorldMember
  readonly directory: Directory
  readonly asked: Asked[] = []
  readonly #random
  readonly #links = new Map<string, PeerLink>()
  readonly #sockets = new Map<string, TLSSocket>()
  readonly #raw = new Map<string, (bytes: Uint8Array) => void>()
  readonly #hangUps = new Map<string, () => void>()
  readonly #seqs = new Map<string, number>()
  readonly #channels = new Map<string, { seq: number; prev: Uint8Array }>()
  readonly #waiters = new Set<() => void>()
  #sessions
  #cosigned = new Map<string, number>()
  /** Highest log index that an answer named. */
  lastIndex = -1
  incarnation: number
  /** How far its clock is ahead of the world's time, in HELLOs and cosignatures. */
  ahead = 0
  /** What this node answers; by default it takes everything. */
  answer: (message: LinkMessage, from: string) => Promise<Request>

  /** `life` tells two nodes of one member apart: another one draws other random bytes and goes on counting links. */
  constructor(world: World, name: string, life = 0) {
    this.world = world
    this.member = world.member(name)
    this.directory = world.directory()
    this.incarnation = this.member.incarnation
    this.#random = countingRandom(`node ${name} ${life}`)
    this.#sessions = life * 100
    this.answer = async (message) =>
      message.name === "checkpoint" ? { name: "cosigned", status: 404, body: "" } : { name: "done" }
  }

  get name(): string {
    return this.member.name
  }

  async connect(relay: string, port: number): Promise<PeerLink> {
    const { link, node } = this.member
    const serial = this.#random(16)
    const certificate = makeLinkCertificate({
      name: this.name,
      seed: link.seed,
      serial,
      notBefore: this.world.at,
    })
    const socket = connect({
      host: "127.0.0.1",
      port,
      cert: certificate.certPem,
      key: certificate.keyPem,
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
    })
    this.#sockets.set(relay, socket)
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve)
      socket.once("error", reject)
    })
    const exporter = Uint8Array.from(
      socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0)),
    )
    const webSocket = new WebSocket("ws://relay/", {
      createConnection: () => socket,
      perMessageDeflate: false,
    })
    await new Promise<void>((resolve, reject) => {
      webSocket.once("open", resolve)
      webSocket.once("error", reject)
    })
    const session = new LinkSession(performance.now())
    this.#sessions += 1
    session.sendHello(
      signHello(node, {
        exporter,
        from: this.name,
        to: relay,
        role: 0,
        at: this.world.at + this.ahead,
        suites: [1],
        head: { size: 0, root: sha256(emptyBytes) },
        incarnation: this.incarnation,
        held: { seq: this.#seqs.get(relay) ?? 0, session: this.#sessions },
      }),
    )
    for (const frame of session.takeFrames(performance.now())) webSocket.send(frame)
    return new Promise<PeerLink>((resolve, reject) => {
      let peer: PeerLink | undefined
      webSocket.on("close", () => {
        peer?.down()
        reject(new Error("the link closed before its hello"))
      })
      webSocket.on("error", () => undefined)
      webSocket.on("message", (data: Buffer) => {
        for (const event of session.receive(Uint8Array.from(data), performance.now())) {
          if (event.kind === "hello") {
            const { at: now } = this.world
            openHello(this.directory, event.hello, {
              exporter,
              from: relay,
              to: this.name,
              role: 1,
              now,
            })
            peer = new PeerLink({
              name: relay,
              role: "relay",
              linkKey: emptyBytes,
              session,
              wire: {
                isOpen: true,
                send: (frame) => {
                  webSocket.send(frame)
                },
                get bufferedBytes() {
                  return webSocket.bufferedAmount
                },
                end: () => {
                  webSocket.close()
                },
                cut: () => {
                  webSocket.terminate()
                },
              },
              clock: systemClock,
              journal: silentJournal,
              handler: async (_peer, message) => this.#take(relay, message),
              ended: () => undefined,
            })
            this.#links.set(relay, peer)
            this.#raw.set(relay, (bytes) => {
              session.send(linkLanes.priority, bytes)
              peer?.flush()
            })
            this.#hangUps.set(relay, () => {
              session.close("done")
              for (const frame of session.takeFrames(performance.now())) webSocket.send(frame)
            })
            resolve(peer)
          } else if (event.kind === "close" && peer === undefined)
            reject(new Error(`closed: ${event.code}`))
          else peer?.take([event])
        }
        peer?.flush()
      })
    })
  }

  async #take(from: string, message: LinkMessage): Promise<Request> {
    const answer = await this.answer(message, from)
    this.asked.push({ from, message })
    for (const wake of this.#waiters) wake()
    return answer
  }

  /** Resolves once something asked satisfies the test. */
  async until<T>(find: (asked: readonly Asked[]) => T | undefined): Promise<T> {
    for (;;) {
      const found = find(this.asked)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiters.delete(wake)
          resolve()
        }
        this.#waiters.add(wake)
      })
    }
  }

  /** The first delivery, or the one after `count` others. */
  async delivery(count = 0): Promise<LinkMessage<"deliver">> {
    return this.until((asked) => {
      const found = asked.filter(({ message }) => message.name === "deliver")[count]?.message
      return found?.name === "deliver" ? found : undefined
    })
  }

  async tombstone(): Promise<LinkMessage<"tombstone">> {
    return this.until((asked) => {
      const found = asked.find(({ message }) => message.name === "tombstone")?.message
      return found?.name === "tombstone" ? found : undefined
    })
  }

  link(relay: string): PeerLink {
    const found = this.#links.get(relay)
    if (found === undefined) throw new Error(`no link to ${relay}`)
    return found
  }

  /** Cuts the connection without a word. */
  cut(relay: string): void {
    this.#sockets.get(relay)?.destroy()
  }

  isLinked(relay: string): boolean {
    return this.#sockets.get(relay)?.destroyed === false
  }

  /** Resolves when the link is over. */
  async ended(relay: string): Promise<void> {
    const socket = this.#sockets.get(relay)
    if (socket === undefined || socket.destroyed) return
    await new Promise<void>((resolve) => {
      socket.once("close", () => resolve())
    })
  }

  /** Sends bytes that may be no message at all; the relay then ends the link. */
  sendBytes(relay: string, bytes: Uint8Array): void {
    this.#raw.get(relay)?.(bytes)
  }

  /** Ends the link by its own word, and leaves the connection as it is. */
  hangUp(relay: string): void {
    this.#hangUps.get(relay)?.()
  }

  /** Reads nothing more from that relay; its socket. */
  deafen(relay: string): TLSSocket {
    const socket = this.#sockets.get(relay)
    if (socket === undefined) throw new Error(`no link to ${relay}`)
    socket.pause()
    return socket
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.destroy()
  }

  /** Goes on after this number, as a node does that kept its state. */
  startAt(origin: string, seq: number): void {
    this.#seqs.set(origin, seq)
  }

  /** From now on answers each checkpoint with a cosignature, after one 409 that says where it stands. */
  cosigns(): void {
    const { key, sign } = this.member.witness
    this.answer = async (message) => {
      if (message.name !== "checkpoint") return { name: "done" }
      const { old, checkpoint } = parseAddCheckpoint(utf8(message.body))
      const { text } = parseNote(checkpoint)
      const { origin, size } = parseCheckpointText(text)
      const held = this.#cosigned.get(origin) ?? 0
      if (old !== held) return { name: "cosigned", status: 409, body: `${held}\n` }
      this.#cosigned.set(origin, size)
      const line = cosignNote(key, text, this.world.at + this.ahead, sign)
      return { name: "cosigned", status: 200, body: formatSignatureLine(line) }
    }
  }

  /** A signed probe for another member. */
  control(to: string): Uint8Array {
    return this.#signed({ to, n: 1, body: null })
  }

  /** A node's answer to a relay's probe. */
  echo({ relay, nonce }: LinkMessage<"probe">): Request {
    const body = probeBody.toValue({ relay, nonce })
    return { name: "echo", echo: this.#signed({ to: this.name, n: 0, body }) }
  }

  #signed(said: { readonly to: string; readonly n: number; readonly body: Value }): Uint8Array {
    const { name: from } = this
    const control = encodeControl({ version: 1, from, at: this.world.at, op: "probe", ...said })
    const { keyId } = this.member.node
    const signature = this.member.node.sign(controlPae(control))
    return encodeSignedControl({ control, keyId, signature })
  }

  nextSeq(origin: string): number {
    const seq = (this.#seqs.get(origin) ?? 0) + 1
    this.#seqs.set(origin, seq)
    return seq
  }

  /** A log statement of this node's over `subject`. */
  statement(
    kind: "envelope" | "receipts" | "journal",
    origin: string,
    subject: Uint8Array,
    seq = this.nextSeq(origin),
  ): LogStatement {
    const [statement] = this.#statements(kind, origin, [subject], seq)
    if (statement === undefined) throw new Error("one statement")
    return statement
  }

  /** Under one signature. */
  #statements(
    kind: "envelope" | "receipts" | "journal",
    origin: string,
    subjects: readonly Uint8Array[],
    firstSeq?: number,
  ): readonly LogStatement[] {
    const { keyId } = this.member.node
    const drafts = subjects.map((subject, i) => {
      const salt = this.#random(32)
      const seq = firstSeq === undefined ? this.nextSeq(origin) : firstSeq + i
      return { origin, seq, keyId, salt, commit: commitmentOf(sha256, salt, subject) }
    })
    const { auths } = signBatch(
      this.name,
      this.member.node,
      drafts.map((draft) => ({ id: logStatementId({ kind, ...draft }), blind: emptyBytes })),
    )
    return drafts.map((draft, i) => {
      const auth = auths[i]
      if (auth === undefined) throw new Error("an auth each")
      return { ...draft, auth: encodeAuth(auth) }
    })
  }

  /** A sealed message with its log statement for that relay. */
  seal(relay: string, options: SealOptions & { readonly seq?: number }): Submission {
    const [submission] = this.sealAll(relay, [options], options.seq)
    if (submission === undefined) throw new Error("one submission")
    return submission
  }

  /** Up to 512 messages under one signature, and their log statements under another, as a busy node has them. */
  sealAll(relay: string, all: readonly SealOptions[], firstSeq?: number): readonly Submission[] {
    const sealed = all.map((options) => this.#sealed(options))
    const { auths } = signBatch(
      this.name,
      this.member.node,
      sealed.map(({ messageId }) => ({ id: messageId, blind: this.#random(16) })),
    )
    const { origin } = this.world.relay(relay).trafficLog
    const statements = this.#statements(
      "envelope",
      origin,
      sealed.map(({ messageId }) => messageId),
      firstSeq,
    )
    return sealed.map((one, i) => {
      const [auth, statement] = [auths[i], statements[i]]
      if (auth === undefined || statement === undefined) throw new Error("an auth each")
      return {
        sealed: one,
        request: {
          name: "submit",
          header: one.header,
          auth: encodeAuth(auth),
          leaves: one.leaves,
          statement,
          attachments: all[i]?.attachments ?? [],
          body: one.body,
        },
      }
    })
  }

  #sealed(options: SealOptions): SealedEnvelope {
    const { world, member } = this
    const created = options.created ?? world.at
    const lane = options.lane ?? 0
    const nodes = options.to.toSorted()
    const [officer] = member.officers
    if (officer === undefined) throw new Error("no officer")
    const draft = {
      type: "case/info",
      officer: officer.id,
      created,
      nodes,
      document: options.document ?? "hello",
    }
    const id = draftIdentity(member.hedgeSecret, this.#random, draft)
    const content = draftContent(this.name, id, draft)
    const recipients = nodes.map((node) => {
      const channel = this.#channels.get(`${node}/${lane}`) ?? { seq: 0, prev: zeroHash }
      return {
        node,
        kemKey: kemKeyOf(world, node),
        channelSeq: channel.seq + 1,
        channelPrev: channel.prev,
      }
    })
    const sealed = sealEnvelope({
      sender: { node: this.name, keyId: member.node.keyId, incarnation: member.incarnation },
      hedgeSecret: member.hedgeSecret,
      random: this.#random,
      id,
      content,
      officerSig: officer.key.sign(contentPae(content)),
      officerKeyId: officer.key.keyId,
      created,
      expires: options.expires ?? created + 86_400,
      precedence: lane,
      recipients,
      checkpoint: { size: 0, root: sha256(emptyBytes) },
      room: null,
    })
    for (const { node, channelSeq } of recipients)
      this.#channels.set(`${node}/${lane}`, { seq: channelSeq, prev: sealed.messageId })
    return sealed
  }

  async submit(relay: string, submission: Submission): Promise<Acceptance> {
    const answer = await this.link(relay).request(linkLanes.flash, submission.request)
    if (answer.name !== "accepted") throw new Error(`answered ${answer.name}`)
    this.lastIndex = Math.max(this.lastIndex, answer.acceptance.index)
    return answer.acceptance
  }

  /** Receipts for messages, as one batch. */
  receipts(
    relay: string,
    items: readonly {
      readonly messageId: Uint8Array
      readonly to: string
      readonly step?: "delivered" | "rejected" | "fetched" | "undelivered"
      readonly ref?: Uint8Array
      /** Whose copy it is about, in this node's own words; its own unless said. */
      readonly about?: string
    }[],
  ): Omit<LinkMessage<"receipts">, "request"> {
    const receipts = items.map(({ messageId, step = "delivered", ref = null, about }) =>
      encodeReceipt({
        version: 1,
        messageId,
        recipientNode: about ?? this.name,
        step: receiptSteps[step],
        reason: null,
        at: this.world.at,
        keyId: this.member.node.keyId,
        by: about === undefined ? null : this.name,
        ref,
      }),
    )
    const { root, auths } = signBatch(
      this.name,
      this.member.node,
      receipts.map((receipt) => ({ id: receiptIdOf(sha256, receipt), blind: this.#random(16) })),
    )
    return {
      name: "receipts",
      statement: this.statement("receipts", this.world.relay(relay).trafficLog.origin, root),
      root,
      items: items.map(({ to, messageId }, i) => {
        const [receipt, auth] = [receipts[i], auths[i]]
        if (receipt === undefined || auth === undefined) throw new Error("an auth each")
        return { to, messageId, receipt, auth: encodeAuth(auth) }
      }),
    }
  }

  /** Whether the relay's promise covers this message. */
  isAccepted(acceptance: Acceptance, messageId: Uint8Array): boolean {
    openAcceptance(this.directory, acceptance, messageId)
    return true
  }

  /** Brings an attachment to the relay, part by part. */
  async upload(relay: string, bytes: Uint8Array): Promise<AttachmentRef> {
    const ref = { hash: crypto.sha256(bytes), length: bytes.length }
    const offer = await this.link(relay).request(linkLanes.bulk, { name: "bodyOffer", body: ref })
    let offset = offer.name === "bodyHave" ? offer.offset : 0
    while (offset < bytes.length) {
      const part = bytes.slice(offset, offset + limits.bodyPartBytesMax)
      const put = { name: "bodyPut", hash: ref.hash, offset, part } as const
      const answer = await this.link(relay).request(linkLanes.bulk, put)
      if (answer.name !== "bodyHave") throw new Error(answer.name)
      ;({ offset } = answer)
    }
    return ref
  }
}
