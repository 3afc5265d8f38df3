// Speed of the envelope, by hand: `npm run bench`. CPU milliseconds, median of so many runs.
// One notice of 61 KB to 195 recipients, one slice opened, the checks of a relay.

import { BatchVerifier } from "../../protocol/batch.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { decodeHeader, decodeLeaf, messageIdOf } from "../../protocol/envelope.ts"
import { leafHash, treeRoot } from "../../protocol/tree.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import {
  checkBody,
  checkSignature,
  checkSuite,
  checkTimes,
  openDelivery,
  parseDelivery,
  verifyDelivery,
} from "../../keys/open-envelope.ts"
import { decodeAuth } from "../../protocol/batch.ts"
import { placedDirectory } from "../kit/chains.ts"
import {
  accept,
  authOf,
  deliveryOf,
  documentOf,
  letter,
  prekeyOf,
  seal,
  write,
} from "../kit/mail.ts"
import { World } from "../kit/world.ts"

const runs = Number(process.argv[2] ?? 21)
const at = 1_800_000_000

function cpuMs(run: () => unknown): number {
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const begin = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(begin)
    times.push((user + system) / 1_000)
  }
  return times.toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0
}

const names = Array.from({ length: 196 }, (_, i) =>
  i === 0
    ? "HQ"
    : `${String.fromCharCode(65 + Math.floor(i / 26))}${String.fromCharCode(65 + (i % 26))}`,
)
const world = new World({ at, members: [...new Set(names)] })
const founding = cpuMsOnce(() => placedDirectory(world))
const { directory } = founding
const form = new Map([["colour", "red"]])
const rows: (readonly [what: string, ms: number])[] = [
  [`directory of ${world.statements.length} statements taken in`, founding.ms],
]

function cpuMsOnce(run: () => ReturnType<typeof placedDirectory>) {
  const begin = process.cpuUsage()
  const made = run()
  const { user, system } = process.cpuUsage(begin)
  return { directory: made, ms: (user + system) / 1_000 }
}

const everybody = [...new Set(names)].toSorted().filter((name) => name !== "HQ")
for (const count of [1, 3, 20, 195]) {
  const to = everybody.slice(0, count)
  const document = documentOf("notice/request", {
    text: "x".repeat(48_000),
    form: new Map([...form, ["more", "y".repeat(12_500)]]),
  })
  const item = letter(world, { from: "HQ", to, type: "notice/request", document })
  const written = write(world, item)
  // Deriving the test world's prekeys is not part of sealing.
  const keys = new Map(to.map((name) => [name, prekeyOf(world, name, item.created)]))
  const sealed = seal(world, item, written, keys)
  rows.push([
    `${written.content.length} bytes sealed to ${count}`,
    cpuMs(() => seal(world, item, written, keys)),
  ])

  const auth = authOf(sealed.messageId, world.member("HQ"))
  const acceptance = accept(world, sealed.messageId, "HQ")
  const delivery = deliveryOf(sealed, auth, acceptance, count - 1)
  const me = to.at(-1) ?? ""
  const pair = keys.get(me)
  const open = () => {
    const batches = new BatchVerifier(crypto, 1)
    const facts = { me, now: at + 100, directory, batches, prekey: () => pair?.secret }
    return openDelivery(verifyDelivery(parseDelivery(delivery), facts), facts)
  }
  open()
  rows.push([`  opened by one of ${count}`, cpuMs(open)])
  rows.push([
    `  a relay's checks of ${count} slices`,
    cpuMs(() => relayChecks(delivery.header, auth, sealed)),
  ])
}

/** What a relay judges before it commits: steps 1 to 7, the leaves, the body. */
function relayChecks(
  bytes: Uint8Array,
  authBytes: Uint8Array,
  sealed: { readonly leaves: readonly Uint8Array[]; readonly body: Uint8Array },
): void {
  const header = decodeHeader(bytes)
  const { core } = header
  const auth = decodeAuth(authBytes)
  const messageId = messageIdOf(sha256, bytes)
  checkSuite(core, directory)
  const key = directory.requireStationKey(core.senderNode, core.senderKeyId, "now", at)
  checkSignature(new BatchVerifier(crypto, 1), { header, auth, messageId }, key)
  checkTimes(core, at + 100, directory.roster().policy.maxLifetime)
  const leaves = sealed.leaves.map(decodeLeaf)
  if (leaves.some(({ node }, i) => node !== core.recipients[i]?.node)) throw new Error("leaves")
  const root = treeRoot(
    sha256,
    sealed.leaves.map((leaf) => leafHash(sha256, leaf)),
  )
  if (!equalBytes(root, header.slicesRoot)) throw new Error("root")
  if (!core.recipients.every(({ node }) => directory.isActiveMember(node)))
    throw new Error("member")
  checkBody(core, sealed.body)
}

const links = everybody.map((name) => world.member(name).link.publicKey)
const lookUp = () => links.every((link) => directory.linkOwner(link, at) !== undefined)
rows.push([`link owners of ${links.length} keys looked up`, cpuMs(lookUp)])

for (const [what, ms] of rows) console.log(`${ms.toFixed(2).padStart(10)} ms  ${what}`)
