// How long the primitives of keys/ take. Run by hand: `npm run build && node dist/test/bench/crypto.js`.
// Prints medians of single calls; the machine should have nothing else to do.

import { randomBytes } from "node:crypto"
import { verifyWithPoints } from "../../audit/noble-verifier.ts"
import { decryptChunks, encryptChunks } from "../../keys/chunked-encryption.ts"
import { hkdf, sha256 } from "../../keys/crypto.ts"
import { admit, generateKeyPair, verify, verifyWithLibsodium } from "../../keys/ed25519.ts"
import { hedged } from "../../keys/hedge.ts"
import { openBase, sealBase } from "../../keys/hpke.ts"
import { argon2Default, openKeyFile, sealKeyFile } from "../../keys/key-file.ts"
import { pad, unpad } from "../../keys/padding.ts"
import { newPrekeyPeriod, publicKeysOf } from "../../keys/prekey-period.ts"
import { openRecord, sealRecord } from "../../keys/sealed-record.ts"
import { kemKeyPair } from "../../keys/sodium.ts"

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length))
const seeds = Array.from({ length: 400 }, () => random(32))
const pairs = seeds.map(generateKeyPair)
const pair = generateKeyPair(random(32))
const message = random(200)
const signature = pair.sign(message)
const kem = kemKeyPair(random(32))
const info = random(64)
const key = random(32)
const sealed = sealBase({ publicKey: kem.publicKey, info, plaintext: key, seed: random(64) })
const document = pad(random(61_000))
const context = random(30)
const body = encryptChunks({ key, salt: random(24), context, plaintext: document })
const megabyte = random(1_000_000)
const bigBody = encryptChunks({ key, salt: random(24), context, plaintext: megabyte })
const place = { table: "inbox", key: random(32), position: 1 }
const record = sealRecord(key, place, random(1_000), random)
const period = newPrekeyPeriod(20_000, random(32))
let next = 0

const quick: readonly (readonly [name: string, run: () => unknown])[] = [
  ["SHA-256 of 200 bytes", () => sha256(message)],
  ["HKDF-SHA256 to 32 bytes", () => hkdf({ ikm: key, salt: key, info, length: 32 })],
  ["hedged randomness, one value", () => hedged(key, random, key)("id", 16)],
  ["Ed25519 key pair of a seed", () => generateKeyPair(key)],
  ["Ed25519 sign", () => pair.sign(message)],
  ["Ed25519 admit and import a key", () => admit(pairs[next++]?.publicKey ?? key)],
  ["Ed25519 verify, node:crypto", () => verify(pair.publicKey, message, signature)],
  ["Ed25519 verify, libsodium", () => verifyWithLibsodium(pair.publicKey, message, signature)],
  ["Ed25519 verify, points", () => verifyWithPoints(pair.publicKey, message, signature)],
  ["X-Wing key pair", () => kemKeyPair(key)],
  [
    "HPKE seal of a content key",
    () => sealBase({ publicKey: kem.publicKey, info, plaintext: key, seed: random(64) }),
  ],
  ["HPKE open", () => openBase({ secret: kem.secret, info, sealed })],
  ["28 prekeys of a period", () => publicKeysOf(period)],
  ["pad 61,000 bytes", () => pad(document.subarray(0, 61_000))],
  ["unpad", () => unpad(document)],
  [
    "encrypt a body of 61,440 bytes",
    () => encryptChunks({ key, salt: random(24), context, plaintext: document }),
  ],
  ["decrypt it", () => decryptChunks({ key, context, ciphertext: body })],
  [
    "encrypt a body of 1 MB",
    () => encryptChunks({ key, salt: random(24), context, plaintext: megabyte }),
  ],
  ["decrypt it", () => decryptChunks({ key, context, ciphertext: bigBody })],
  ["seal a record of 1,000 bytes", () => sealRecord(key, place, message, random)],
  ["open it", () => openRecord(key, place, record)],
]

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function print(name: string, microseconds: number): void {
  console.log(`${name.padEnd(36)}${microseconds.toFixed(1).padStart(12)} µs`)
}

for (const [name, run] of quick) {
  const times: number[] = []
  for (let i = 0; i < 400; i++) {
    const start = performance.now()
    run()
    times.push((performance.now() - start) * 1000)
  }
  print(name, median(times.slice(50)))
}

const unlock = { kind: "passphrase", passphrase: "correct horse" } as const
const file = await sealKeyFile({ entries: [], unlock, random })
const times: number[] = []
for (let i = 0; i < 5; i++) {
  const start = performance.now()
  await openKeyFile(file, unlock)
  times.push((performance.now() - start) * 1000)
}
print(`open a key file, ${argon2Default.memoryKib / 1024} MiB`, median(times))
