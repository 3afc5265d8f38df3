// What a backup needs from the running process: its records as they stand at one moment, sealed as they lie
// on the disk. `chappe backup` adds the files beside them. docs/PROTOCOL.md, "Backups".

import { Readable } from "node:stream"
import { encodeBackupFrame } from "../../protocol/backup-frames.ts"
import { concat, utf8 } from "../../protocol/bytes.ts"
import type { Journal } from "../core/journal.ts"
import type { RecordStore } from "../core/ports.ts"
import { type Sessions, requireCapability } from "../core/sessions.ts"
import { nodeLimits } from "../limits.ts"
import { record } from "./http-mail-routes.ts"
import { type HttpServer, sessionOf } from "./http-server.ts"

export function backupRoute(
  server: HttpServer,
  parts: {
    readonly sessions: Sessions
    readonly journal: Journal
    readonly store: RecordStore
  },
): void {
  server.get("/v1/backup", async (request, reply) => {
    const session = sessionOf(parts.sessions, request)
    requireCapability(session, "admin/node")
    await record(parts.journal, request, session, "backup", "")
    void reply.type("application/octet-stream")
    return await reply.send(Readable.from(recordFrames(parts.store)))
  })
}

/** Frames of every record and their end, as one consistent state. */
export async function* recordFrames(store: RecordStore): AsyncGenerator<Uint8Array, void, void> {
  let frames = 0
  for await (const page of store.snapshot(nodeLimits.backupPage)) {
    frames += page.length
    const encoded = page.map(({ key, value }) =>
      encodeBackupFrame({ name: "record", key: utf8(key), value }),
    )
    yield concat(...encoded)
  }
  yield encodeBackupFrame({ name: "end", frames })
}
