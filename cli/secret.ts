// What opens a key file: a passphrase from a file or from a prompt without echo, or a secret file beside the
// key (labs, unattended machines). Never argv, never the environment.

import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import { ChappeError } from "../protocol/errors.ts"
import { type KeyEntry, type Unlock, openKeyFile, sealKeyFile } from "../keys/key-file.ts"
import type { Option } from "./command.ts"
import { cliLimits } from "./limits.ts"
import { exists, readBytes, readText, replaceFile, writeNew } from "./private-files.ts"
import type { World } from "./world.ts"

export const passphraseOption: Option = {
  name: "passphrase-file",
  value: "F",
  help: "file whose first line is the passphrase; else the .secret file beside the key, else a prompt",
  offers: "files",
}

/** Where the secret of `x.key` lies, if it has one: `x.secret`. */
export function secretBeside(keyFile: string): string {
  return keyFile.replace(/\.key$/u, "") + ".secret"
}

/** Refused: `passphrase` without a terminal to ask on; `file-unreadable`. */
export async function unlockFor(
  world: World,
  request: {
    readonly keyFile: string
    readonly passphraseFile: string | undefined
    readonly ask: string
  },
): Promise<Unlock> {
  if (request.passphraseFile !== undefined)
    return { kind: "passphrase", passphrase: await passphraseIn(request.passphraseFile) }
  const beside = secretBeside(request.keyFile)
  if (await exists(beside))
    return { kind: "secret", secret: await readBytes(beside, cliLimits.secretFileBytesMax) }
  return { kind: "passphrase", passphrase: await askPassphrase(world, request.ask) }
}

async function passphraseIn(path: string): Promise<string> {
  const [first = ""] = (await readText(path, cliLimits.secretFileBytesMax)).split(/\r?\n/u)
  if (first === "") throw new ChappeError("passphrase", `${path} begins with an empty line`)
  return first
}

/** Asks on the terminal without echo. Refused: `passphrase` where there is none. */
export async function askPassphrase(world: World, ask: string): Promise<string> {
  if (!world.stdin.isTTY)
    throw new ChappeError(
      "passphrase",
      `there is no terminal to ask for it (${ask}); name a file with --passphrase-file`,
    )
  world.output.say(ask)
  const silent = new Writable({
    write(_chunk, _encoding, done) {
      done()
    },
  })
  const lines = createInterface({ input: world.stdin, output: silent, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once("line", resolve)
      lines.once("SIGINT", () => {
        reject(new ChappeError("passphrase", "stopped at the prompt"))
      })
      lines.once("close", () => {
        reject(new ChappeError("passphrase", "the terminal was closed"))
      })
    })
  } finally {
    lines.removeAllListeners()
    lines.close()
  }
}

/** The secrets of a key file. Refused: `passphrase`, `key-file`, `tampered`, `file-unreadable`. */
export async function openKeys(
  world: World,
  keyFile: string,
  passphraseFile?: string,
): Promise<readonly KeyEntry[]> {
  const file = await readBytes(keyFile, cliLimits.keyFileBytesMax)
  const unlock = await unlockFor(world, {
    keyFile,
    passphraseFile,
    ask: `Passphrase of ${keyFile}:`,
  })
  return openKeyFile(file, unlock)
}

/** A new key file under a new random secret file beside it. Refused: `file-exists`. */
export async function writeKeysWithSecret(
  world: World,
  keyFile: string,
  entries: readonly KeyEntry[],
): Promise<void> {
  const secret = world.random(32)
  const unlock: Unlock = { kind: "secret", secret }
  const sealed = await sealKeyFile({ entries, unlock, random: world.random })
  await writeNew(secretBeside(keyFile), secret)
  await writeNew(keyFile, sealed)
}

/** A new key file under a passphrase, asked twice where it comes from a prompt. Refused: `file-exists`. */
export async function writeKeysWithPassphrase(
  world: World,
  target: { readonly keyFile: string; readonly passphraseFile: string | undefined },
  entries: readonly KeyEntry[],
): Promise<void> {
  const { keyFile, passphraseFile } = target
  if (await exists(keyFile)) throw new ChappeError("file-exists", `${keyFile} exists`)
  const passphrase =
    passphraseFile === undefined
      ? await newPassphrase(world, keyFile)
      : await passphraseIn(passphraseFile)
  const unlock: Unlock = { kind: "passphrase", passphrase }
  await writeNew(keyFile, await sealKeyFile({ entries, unlock, random: world.random }))
}

export const secretFileOption: Option = {
  name: "secret-file",
  value: "S",
  help: "a file of 32 random bytes instead of a passphrase",
  offers: "files",
}

/** What opens a file that is not a key file: named by an option, or a passphrase from a prompt. */
export async function namedUnlock(
  world: World,
  from: {
    readonly passphraseFile: string | undefined
    readonly secretFile: string | undefined
    readonly ask: string
    /** Asked for twice. */
    readonly isNew?: true
  },
): Promise<Unlock> {
  const { passphraseFile, secretFile, ask, isNew } = from
  if (secretFile !== undefined)
    return { kind: "secret", secret: await readBytes(secretFile, cliLimits.secretFileBytesMax) }
  if (passphraseFile !== undefined)
    return { kind: "passphrase", passphrase: await passphraseIn(passphraseFile) }
  const passphrase =
    isNew === true ? await newPassphrase(world, ask) : await askPassphrase(world, ask)
  return { kind: "passphrase", passphrase }
}

async function newPassphrase(world: World, file: string): Promise<string> {
  const first = await askPassphrase(world, `New passphrase of ${file}:`)
  const second = await askPassphrase(world, "The same again:")
  if (first !== second) throw new ChappeError("passphrase", "the two passphrases differ")
  if (first === "") throw new ChappeError("passphrase", "an empty passphrase protects nothing")
  return first
}

/** The same file with other secrets, opened by the same words as before. */
export async function rewriteKeys(
  world: World,
  target: { readonly keyFile: string; readonly passphraseFile: string | undefined },
  entries: readonly KeyEntry[],
): Promise<void> {
  const unlock = await unlockFor(world, { ...target, ask: `Passphrase of ${target.keyFile}:` })
  await replaceFile(target.keyFile, await sealKeyFile({ entries, unlock, random: world.random }))
}
