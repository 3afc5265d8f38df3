// A node's or relay's folder in one sealed file, and the way back.

import { join, resolve } from "node:path"
import { readBackup } from "../../keys/backup-file.ts"
import type { BackupFrame, BackupHead } from "../../protocol/backup-frames.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { readFileStream } from "../adapters/file-transfer.ts"
import { nodeHead, withNodeFrames } from "../backup/node-backup.ts"
import { copyKeyFile, copyKeyFolder, moveKeyFile, restoreNode } from "../backup/restore-node.ts"
import { relayFrames, relayHead, restoreRelay } from "../backup/relay-backup.ts"
import { type Written, writeBackup } from "../backup/write-backup.ts"
import { beginNewLogs } from "./relay-new-logs.ts"
import type { Command, Option } from "../command.ts"
import { formatTime } from "../duration.ts"
import type { Invocation } from "../invocation.ts"
import { exists, requireEmptyFolder } from "../private-files.ts"
import { namedUnlock, passphraseOption, secretFileOption } from "../secret.ts"
import type { World } from "../world.ts"

const unlockOptions: readonly Option[] = [
  { ...passphraseOption, help: "file whose first line is the backup's passphrase; else a prompt" },
  secretFileOption,
]

export const backup: Command = {
  name: "backup",
  help: "write a node's or relay's folder into one sealed file, while it runs or not; keys that sign stay out",
  arguments: [],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "its folder", offers: "folders" },
    { name: "out", value: "F", needed: true, help: "a new file", offers: "files" },
    ...unlockOptions,
  ],
  examples: [
    {
      line: "chappe backup --dir lab/nodes/FR --out FR.backup --secret-file backup.secret",
      says: "every night, to another machine; its standby key lies elsewhere",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    const out = input.needed("out")
    const isRelay = await exists(join(dir, "relay.toml"))
    if (!isRelay && !(await exists(join(dir, "node.toml"))))
      throw new ChappeError("file-unreadable", `${dir} is neither a node's folder nor a relay's`)
    const unlock = await namedUnlock(world, {
      passphraseFile: input.text("passphrase-file"),
      secretFile: input.text("secret-file"),
      ask: out,
      isNew: true,
    })
    const head = await (isRelay ? relayHead(world, dir) : nodeHead(world, dir))
    const write = async (frames: AsyncIterable<BackupFrame>): Promise<Written> =>
      writeBackup(world, { out, unlock, head }, frames)
    const written = await (isRelay ? write(relayFrames(dir)) : withNodeFrames(dir, write))
    const { records, files, bytes } = written
    world.output.result(
      { file: out, role: head.role, name: head.owner, at: head.at, records, files, bytes },
      `${head.owner} is in ${out}: ${records} records, ${files} files, ${bytes} bytes.`,
    )
    return undefined
  },
}

/** Runs `work` with the backup's head and the frames after it. Refused: `backup`, `passphrase`. */
async function withBackup<T>(
  input: Invocation,
  world: World,
  file: string,
  work: (head: BackupHead, frames: AsyncIterable<BackupFrame>) => Promise<T>,
): Promise<T> {
  const frames = readBackup(readFileStream(file), () =>
    namedUnlock(world, {
      passphraseFile: input.text("passphrase-file"),
      secretFile: input.text("secret-file"),
      ask: `Passphrase of ${file}:`,
    }),
  )
  const first = await frames.next()
  if (first.done === true || first.value.name !== "head")
    throw new ChappeError("backup", "the backup has no head")
  return await work(first.value, frames)
}

async function putBack(
  input: Invocation,
  world: World,
  { file, dir }: { readonly file: string; readonly dir: string },
  bringKeys: () => Promise<void> = async () => undefined,
): Promise<undefined> {
  await withBackup(input, world, file, async (head, frames) => {
    if (head.role === "relay") return putRelayBack(input, world, { dir, head }, frames)
    const { records, files } = await restoreNode(world, dir, head, frames, bringKeys)
    const name = head.owner
    world.output.result(
      { name, dir, takenAt: head.at, records, files },
      [
        `${name} is in ${dir} as it was at ${formatTime(head.at)}: ${records} records, ${files} files.`,
        `Start it: chappe node start --dir ${dir}`,
        "It becomes the next incarnation and asks every sender for what came since.",
      ].join("\n"),
    )
  })
  return undefined
}

/** A relay begins new logs: it can never reuse a place in a log, nor go on with one that others know better. */
async function putRelayBack(
  input: Invocation,
  world: World,
  { dir, head }: { readonly dir: string; readonly head: BackupHead },
  frames: AsyncIterable<BackupFrame>,
): Promise<void> {
  const [keys, keyFile] = [input.needed("keys"), input.needed("root")]
  const files = await restoreRelay(dir, keys, frames)
  // The passphrase that was given is the backup's.
  const by = { keyFile, passphraseFile: undefined }
  const { name, logs, told } = await beginNewLogs(world, dir, by)
  world.output.result(
    { name, dir, takenAt: head.at, files, logs, told },
    [
      `${name} is in ${dir} as it was at ${formatTime(head.at)}; it begins ${logs.join(" and ")}.`,
      `Start it: chappe relay start --dir ${dir}`,
      "Nodes hand in again what was not delivered.",
    ].join("\n"),
  )
}

export const restore: Command = {
  name: "restore",
  help: "put a node back from a backup as its next incarnation, or a relay, with new logs",
  arguments: [{ name: "F", help: "the backup", offers: "files" }],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "a new or empty folder", offers: "folders" },
    {
      name: "standby",
      value: "K",
      help: "a node's standby key file, kept outside of every backup",
      offers: "files",
    },
    {
      name: "keys",
      value: "KEYS",
      help: "a relay's keys folder, kept outside of every backup",
      offers: "folders",
    },
    { name: "root", value: "R", help: "a relay's root key file", offers: "files" },
    {
      name: "officers",
      value: "FOLDER",
      help: "officers' key files to be copied",
      offers: "folders",
    },
    ...unlockOptions,
  ],
  examples: [
    {
      line: "chappe restore FR.backup --dir FR --standby standby.key --secret-file backup.secret",
      says: "then: chappe node start --dir FR",
    },
    {
      line: "chappe restore hub1.backup --dir hub1 --keys card/keys --root root.key --secret-file backup.secret",
      says: "then: chappe relay start --dir hub1",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    await requireEmptyFolder(dir)
    return await putBack(input, world, { file: input.argument("F"), dir }, async () => {
      await copyKeyFile(input.needed("standby"), join(dir, "keys", "standby.key"))
      const officers = input.text("officers")
      if (officers !== undefined) await copyKeyFolder(officers, join(dir, "officers"))
    })
  },
}

export const nodeStandby: Command = {
  name: "node standby",
  help: "move a node's standby key into a folder of its own, for a second machine",
  arguments: [],
  options: [
    { name: "node", value: "DIR", needed: true, help: "the node's folder", offers: "folders" },
    {
      name: "out",
      value: "STANDBY",
      needed: true,
      help: "a new or empty folder",
      offers: "folders",
    },
  ],
  examples: [
    {
      line: "chappe node standby --node lab/nodes/FR --out FR-standby",
      says: "carry it to the second machine; send a backup there every few minutes",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("node"))
    const out = resolve(input.needed("out"))
    const key = join(dir, "keys", "standby.key")
    if (!(await exists(key)))
      throw new ChappeError(
        "file-unreadable",
        `${dir} has no standby key; see chappe keys new-incarnation`,
      )
    await requireEmptyFolder(out)
    await copyKeyFolder(join(dir, "officers"), join(out, "officers"))
    await moveKeyFile(key, join(out, "keys", "standby.key"))
    world.output.result(
      { standby: out },
      `The standby key is in ${out} and no longer in ${dir}. It takes over by: chappe node takeover --dir ${out} --backup F`,
    )
    return undefined
  },
}

export const nodeTakeover: Command = {
  name: "node takeover",
  help: "make a standby folder the member's node, from the newest backup, as the next incarnation",
  arguments: [],
  options: [
    {
      name: "dir",
      value: "STANDBY",
      needed: true,
      help: "the standby's folder",
      offers: "folders",
    },
    { name: "backup", value: "F", needed: true, help: "the newest backup", offers: "files" },
    ...unlockOptions,
  ],
  examples: [
    {
      line: "chappe node takeover --dir FR-standby --backup FR.backup --secret-file backup.secret",
      says: "the other machine's keys end with the first start of this one",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    if (!(await exists(join(dir, "keys", "standby.key"))))
      throw new ChappeError("file-unreadable", `${dir} holds no keys/standby.key`)
    if (await exists(join(dir, "node.toml")))
      throw new ChappeError("file-exists", `${dir} is a node already`)
    return await putBack(input, world, { file: input.needed("backup"), dir })
  },
}
