// A fictional case, played on a lab. The people, the places and the photo are invented.

import { kill } from "node:process"
import { join } from "node:path"
import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type JsonObject, textField } from "../json.ts"
import { writeNew } from "../private-files.ts"
import { drawPhoto } from "./photo.ts"
import type { Stage } from "./stage.ts"

/** Where processes of the lab are, by name, as they were last started. */
export type Cast = { readonly dir: string; readonly pidOf: (name: string) => number | undefined }

const form = {
  colour: "yellow",
  person: {
    familyName: "DESSERT",
    givenName: "Lina",
    born: "2017-04-02",
    nationality: "UTO",
    heightCm: 128,
    eyes: "brown",
    clothing: "yellow raincoat",
  },
  lastSeen: { place: "central station, Port-Utopie", on: "2026-11-20" },
}

function isMessage(id: string): (item: JsonObject) => boolean {
  return (item) => item["id"] === id
}

export async function playCase(stage: Stage, cast: Cast): Promise<void> {
  const node = (name: string): string => join(cast.dir, "nodes", name)
  const trust = join(cast.dir, "trust.json")
  const photo = drawPhoto()
  const photoFile = join(cast.dir, "case", "photo.png")
  const formFile = join(cast.dir, "case", "yellow.json")
  await writeNew(photoFile, photo)
  await writeNew(formFile, `${JSON.stringify(form, undefined, 2)}\n`)

  stage.scene("1. A yellow notice: a child is missing")
  stage.tell("FR asks the HQ desk for a notice, with a photo. Only the desk can open the request.")
  const notice = await stage.play([
    "send",
    "--node",
    node("FR"),
    "--type",
    "notice",
    "--precedence",
    "immediate",
    "--subject",
    "Missing child: Lina DESSERT, 9, UTO",
    "--document",
    formFile,
    "--text",
    "Last seen at the central station. / آخر مرة شوهدت في المحطة. / Vue à la gare.",
    "--attach",
    photoFile,
  ])
  const noticeId = textField(notice, "id")
  await stage.playUntil(isMessage(noticeId), ["inbox", "--node", node("HQ")])
  await stage.play(["show", noticeId, "--node", node("HQ")])
  stage.tell("\nThe desk publishes it, quoted with FR's own signatures.")
  const published = await stage.play(["publish", noticeId, "--node", node("HQ")])
  const publishedId = textField(published, "id")
  await stage.playUntil(isMessage(publishedId), ["inbox", "--node", node("BR")])
  const saved = join(cast.dir, "case", "saved-by-JP")
  await stage.playUntil(isMessage(publishedId), ["inbox", "--node", node("JP"), "--unread"])
  const shown = await stage.play([
    "show",
    publishedId,
    "--node",
    node("JP"),
    "--save-attachments",
    saved,
  ])
  await comparePhoto(stage, shown, toHex(sha256(photo)))

  stage.scene("2. A diffusion that two countries share and the third cannot open")
  const diffusion = await stage.play([
    "send",
    "--node",
    node("FR"),
    "--type",
    "diffusion",
    "--to",
    "JP",
    "--subject",
    "White van, plate UTO 71-12",
    "--text",
    "Seen near the station at 17:40.",
  ])
  const diffusionId = textField(diffusion, "id")
  await stage.playUntil(isMessage(diffusionId), ["inbox", "--node", node("JP"), "--unread"])
  await stage.play(["show", diffusionId, "--node", node("JP")])
  stage.tell("\nBR tries to open it, knowing even its id. No relay holds a key that would help.")
  await stage.playRefused(["show", diffusionId, "--node", node("BR")])

  stage.scene("3. A case message, answered")
  const question = await stage.play([
    "send",
    "--node",
    node("FR"),
    "--to",
    "JP",
    "--our-ref",
    "PU-2026-118",
    "--subject",
    "Owner of the van",
    "--text",
    "Can you tell whose it is?",
  ])
  const questionId = textField(question, "id")
  await stage.playUntil(isMessage(questionId), ["inbox", "--node", node("JP"), "--unread"])
  await stage.play(["take", questionId, "--node", node("JP")])
  const answer = await stage.play([
    "reply",
    questionId,
    "--node",
    node("JP"),
    "--text",
    "Hired in Kobe; details follow.",
  ])
  await stage.playUntil(isMessage(textField(answer, "id")), [
    "inbox",
    "--node",
    node("FR"),
    "--unread",
  ])
  stage.tell("\nEvery step is signed by whoever took it, and logged:")
  await stage.playUntil(
    (found) => JSON.stringify(found).includes('"answered"'),
    ["trace", questionId, "--node", node("FR")],
  )

  stage.scene("4. A relay dies")
  const hub = cast.pidOf("hub2")
  if (hub === undefined) throw new ChappeError("internal", "hub2 is not there")
  kill(hub, "SIGKILL")
  stage.tell(`kill -9 ${hub}: hub2, which BR writes to first, is gone. The mail goes by hub1.`)
  const urgent = await stage.play([
    "send",
    "--node",
    node("BR"),
    "--to",
    "FR,JP",
    "--precedence",
    "flash",
    "--subject",
    "The child is safe",
    "--text",
    "Lina was found well at the airport.",
  ])
  for (const name of ["FR", "JP"])
    await stage.playUntil(isMessage(textField(urgent, "id")), [
      "inbox",
      "--node",
      node(name),
      "--unread",
    ])

  await stage.playUntil(
    (found) => JSON.stringify(found).includes('"custody"'),
    ["trace", textField(urgent, "id"), "--node", node("BR")],
  )

  stage.scene("5. The auditor")
  stage.tell(
    "An auditor trusts neither relay nor desk: a trust file is enough, no key that opens mail.",
  )
  const file = join(cast.dir, "case", "van.evidence")
  await stage.play(["evidence", "export", questionId, "--node", node("FR"), "--out", file])
  await stage.play(["evidence", "verify", file, "--trust", trust])
  for (const relay of ["hub1", "hub2"])
    await stage.play(["audit", "verify", join(cast.dir, "relays", relay, "log"), "--trust", trust])
}

async function comparePhoto(
  stage: Stage,
  shown: { readonly saved?: unknown },
  wanted: string,
): Promise<void> {
  const { readBytes } = await import("../private-files.ts")
  const saved: unknown = Array.isArray(shown.saved) ? shown.saved[0] : undefined
  const path =
    typeof saved === "object" && saved !== null && "path" in saved ? String(saved.path) : ""
  const found = toHex(sha256(await readBytes(path, 1_000_000)))
  if (found !== wanted) throw new ChappeError("tampered", "the photo did not arrive as it was sent")
  stage.tell(`    The photo arrived byte for byte: SHA-256 ${found.slice(0, 16)}…`)
}
