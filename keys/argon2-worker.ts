// Argon2id in a worker thread that ends: its WASM heap would stay at the asked memory otherwise.
//
// The worker is a text, so that it runs alike from dist/ and from the sources under a test runner;
// a text resolves packages from the current directory, so it is told where the library stands.

import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"
import { ChappeError } from "../protocol/errors.ts"

const require = createRequire(import.meta.url)
const library = require.resolve("libsodium-wrappers-sumo")

const program = `
const { parentPort, workerData } = require("node:worker_threads")
const sodium = require(workerData.library)
sodium.ready.then(() => {
  const { passphrase, salt, passes, memoryKib } = workerData
  const algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13
  parentPort.postMessage(
    sodium.crypto_pwhash(32, passphrase, salt, passes, memoryKib * 1024, algorithm),
  )
})
`

export type Argon2Input = {
  readonly passphrase: Uint8Array
  /** 16 bytes. */
  readonly salt: Uint8Array
  readonly memoryKib: number
  readonly passes: number
}

/** Argon2id (RFC 9106, one lane), 32 bytes. The caller has checked that the work asked for is sane. */
export async function argon2id(input: Argon2Input): Promise<Uint8Array> {
  const worker = new Worker(program, {
    eval: true,
    workerData: { ...input, library },
    execArgv: [],
    env: {},
  })
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      worker.once("message", (key: unknown) => {
        if (key instanceof Uint8Array) resolve(key)
      })
      worker.once("error", (cause) => {
        reject(new ChappeError("internal", "the passphrase could not be stretched", { cause }))
      })
      worker.once("exit", () => {
        reject(new ChappeError("internal", "the worker ended without a key"))
      })
    })
  } finally {
    await worker.terminate()
  }
}
