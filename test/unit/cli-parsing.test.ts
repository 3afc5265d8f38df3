import { readFile } from "node:fs/promises"
import { describe, expect, test } from "vitest"
import { commands } from "../../cli/commands.ts"
import { completionScript, shells } from "../../cli/completion.ts"
import { formatBytes, formatDuration, formatTime, parseDuration } from "../../cli/duration.ts"
import { asChappeError } from "../../cli/failure.ts"
import { findCommand } from "../../cli/find-command.ts"
import { commandHelp, overview } from "../../cli/help.ts"
import { parseInvocation } from "../../cli/invocation.ts"
import { parseDocument } from "../../cli/json.ts"
import { manPage } from "../../cli/man-page.ts"
import { nearest } from "../../cli/nearest.ts"
import { Output, harmless } from "../../cli/output.ts"
import { safeFileName } from "../../cli/safe-file-name.ts"
import { softwareVersion } from "../../cli/version.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { codeOf } from "../kit/refusal.ts"

const call = (...words: readonly string[]) => {
  const { command, rest } = findCommand(words)
  return parseInvocation(command, rest)
}

/** What the words are refused with. */
function refused(...words: readonly string[]): string {
  try {
    call(...words)
  } catch (error) {
    if (error instanceof ChappeError && error.code === "usage") return error.message
    throw error
  }
  throw new Error("nothing was refused")
}

describe("the command table", () => {
  test("names every command of the contract", () => {
    const names = commands.map(({ name }) => name)
    for (const wanted of [
      "lab init",
      "lab up",
      "relay start",
      "node start",
      "send",
      "inbox",
      "show",
      "publish",
      "reply",
      "take",
      "refuse",
      "outbox",
      "trace",
      "evidence export",
      "evidence verify",
      "audit verify",
      "conformance signatures",
      "conformance log-verify",
      "invite",
      "join",
      "roster show",
      "roster add",
      "roster suspend",
      "roster policy",
      "roster sign",
      "roster publish",
      "keys show",
      "keys rotate",
      "keys new-incarnation",
      "officer add",
      "officer revoke",
      "doctor",
      "demo",
      "help",
      "version",
    ])
      expect(names).toContain(wanted)
  })

  test("has each name once, each with a sentence, its options each once", () => {
    const names = commands.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const command of commands) {
      expect(command.help).toMatch(/^[^A-Z].*[^.]$/u)
      const options = command.options.map(({ name }) => name)
      expect(new Set(options).size).toBe(options.length)
      expect(options).not.toContain("json")
    }
  })

  test("gives examples that parse", () => {
    for (const { name, examples } of commands)
      for (const { line } of examples) {
        if (line.includes("<(") || line.includes("|")) continue
        const words = [...line.replace(/ < .*/u, "").matchAll(/'([^']*)'|(\S+)/gu)].map(
          ([, quoted, plain]) => quoted ?? plain ?? "",
        )
        expect(words[0]).toBe("chappe")
        expect(call(...words.slice(1)).command.name).toBe(name)
      }
  })

  test("shows every command and option in help, man page and completions", () => {
    const man = manPage(commands, "1")
    for (const command of commands) {
      expect(overview(commands)).toContain(`  ${command.name} `)
      expect(man).toContain(`.SS ${command.name.replaceAll("-", "\\-")}\n`)
      for (const { name } of command.options) {
        expect(commandHelp(command)).toContain(`--${name}`)
        for (const shell of shells)
          expect(completionScript(shell, commands)).toContain(
            shell === "fish" ? `-l ${name}` : `--${name}`,
          )
      }
    }
  })
})

test("docs/chappe.1 is the table's man page: `npx chappe man > docs/chappe.1` renews it", async () => {
  const page = await readFile(new URL("../../docs/chappe.1", import.meta.url), "utf8")
  expect(page).toBe(manPage(commands, softwareVersion))
})

describe("parsing a call", () => {
  test("takes words, options and switches in any order", () => {
    const input = call("show", "--node", "D", "ab", "--json")
    expect(input.argument("ID")).toBe("ab")
    expect(input.needed("node")).toBe("D")
    expect(input.flag("json")).toBe(true)
    expect(input.text("save-attachments")).toBeUndefined()
  })

  test("takes an option several times where the table says so", () => {
    const input = call("send", "--node", "D", "--subject", "S", "--attach", "a", "--attach", "b")
    expect(input.texts("attach")).toEqual(["a", "b"])
  })

  test("splits members at commas, each once", () => {
    const input = call("send", "--node", "D", "--subject", "S", "--to", "JP, BR,,JP")
    expect(input.words("to")).toEqual(["JP", "BR"])
  })

  test("suggests the nearest command", () => {
    expect(refused("sned")).toBe("there is no command sned; did you mean send?")
    expect(refused("lab", "ini")).toBe("there is no command lab ini; did you mean lab init?")
    expect(refused("lab")).toContain("lab is followed by a word: lab init")
    expect(refused("xyzzyxyzzy")).toBe("there is no command xyzzyxyzzy")
  })

  test("refuses unknown options, missing and excess words, and values of other forms", () => {
    expect(refused("version", "--colour")).toContain("Unknown option '--colour'")
    expect(refused("show", "--node", "D")).toBe("show needs ID")
    expect(refused("inbox")).toBe("inbox needs --node")
    expect(refused("inbox", "a", "--node", "D")).toBe("inbox: a is one word too many")
    expect(refused("show", "a", "--node")).toContain("argument missing")
    const input = call("lab", "init", "--dir", "D", "--relays", "2x")
    expect(codeOf(() => input.integer("relays", { min: 1, max: 16 }))).toBe("usage")
    const loud = call("send", "--node", "D", "--subject", "S", "--precedence", "loud")
    expect(codeOf(() => loud.choice("precedence", ["flash", "routine"]))).toBe("usage")
  })
})

describe("durations and sizes", () => {
  test("read as people write them", () => {
    expect(parseDuration("90s")).toBe(90)
    expect(parseDuration("7d")).toBe(604_800)
    expect(parseDuration("1d12h")).toBe(129_600)
    for (const wrong of ["", "7", "d", "7 d", "-7d", "7d!", "1.5h"])
      expect(codeOf(() => parseDuration(wrong))).toBe("usage")
  })

  test("show two units, and times with Zulu beside them", () => {
    expect(formatDuration(0)).toBe("0 s")
    expect(formatDuration(3_661)).toBe("1 h 1 min")
    expect(formatTime(1_795_307_960)).toMatch(/^2026-11-2\d \d\d:\d\d:20 \(00:39:20Z\)$/u)
    expect(formatBytes(999)).toBe("999 B")
    expect(formatBytes(3_145_728)).toBe("3.1 MB")
  })
})

describe("a document from a file", () => {
  test("holds whole numbers only", () => {
    expect(parseDocument('{"height":112,"amount":"12.50"}')).toEqual({
      height: 112,
      amount: "12.50",
    })
    expect(codeOf(() => parseDocument('{"height":1.12}'))).toBe("document")
    expect(codeOf(() => parseDocument('{"a":[{"b":4294967296}]}'))).toBe("document")
    expect(codeOf(() => parseDocument("[]"))).toBe("document")
    expect(codeOf(() => parseDocument("{"))).toBe("document")
  })
})

describe("a sender's file name", () => {
  test("never leads out of the folder", () => {
    expect(safeFileName("../../etc/passwd", 0, 0)).toBe("passwd")
    expect(safeFileName("..\\..\\evil.exe", 0, 0)).toBe("evil.exe")
    expect(safeFileName("/", 2, 0)).toBe("attachment-3")
    expect(safeFileName("..", 0, 0)).toBe("attachment-1")
    expect(safeFileName(".bashrc", 0, 0)).toBe("bashrc")
  })

  test("keeps scripts and loses what deceives", () => {
    expect(safeFileName("صورة الطفل.png", 0, 0)).toBe("صورة الطفل.png")
    expect(safeFileName("photo\u202Egpj.exe", 0, 0)).toBe("photo_gpj.exe")
    expect(safeFileName("a\u0000b\n.txt", 0, 0)).toBe("a_b_.txt")
    expect(safeFileName("CON.txt", 0, 0)).toBe("_CON.txt")
  })

  test("numbers copies before the ending and bounds the length", () => {
    expect(safeFileName("photo.png", 0, 2)).toBe("photo (2).png")
    expect(safeFileName(`${"x".repeat(300)}.png`, 0, 0)).toHaveLength(124)
  })
})

function captured(json: boolean) {
  const lines = { out: "", err: "" }
  const output = new Output({
    json,
    colour: false,
    stdout: { write: (text) => (lines.out += text) },
    stderr: { write: (text) => (lines.err += text) },
  })
  return { lines, output }
}

describe("output", () => {
  test("with --json puts one object a line on stdout and nothing else there", () => {
    const { lines, output } = captured(true)
    output.result({ id: "a" }, "text")
    output.say("talk")
    output.error(new ChappeError("no-relay"))
    const parsed = lines.out
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line))
    expect(parsed).toEqual([
      { id: "a" },
      {
        error: {
          code: "no-relay",
          message: "no relay can be reached",
          next: "the message is kept and goes as soon as one answers",
        },
      },
    ])
    expect(lines.err).toBe("talk\n")
  })

  test("without it gives a sentence and the next step on stderr", () => {
    const { lines, output } = captured(false)
    output.error(new ChappeError("file-unreadable", "x: ENOENT"))
    expect(lines.out).toBe("")
    expect(lines.err).toBe(
      "chappe: a file cannot be read (x: ENOENT).\n  next: check the path and its permissions  [file-unreadable]\n",
    )
  })

  test("lets no mail move the cursor or colour itself", () => {
    const { lines, output } = captured(false)
    output.result({}, "a\u0007b")
    expect(lines.out).toBe("a\uFFFDb\n")
    expect(harmless("a\u001B[31mred\u202Eb\tc\nd")).toBe("a\uFFFD[31mred\uFFFDb\tc\nd")
  })

  test("aligns columns by characters", () => {
    expect(
      captured(false).output.table([
        ["a", "b"],
        ["été", "c"],
      ]),
    ).toBe("a    b\nété  c")
  })
})

const failure = (code: string) => Object.assign(new Error("x"), { code, path: "/x" })

test("a failure of the system gets a code of the table", () => {
  expect(asChappeError(failure("ENOSPC")).code).toBe("disk-full")
  expect(asChappeError(failure("EADDRINUSE")).code).toBe("port-taken")
  expect(asChappeError(failure("EACCES")).message).toBe("/x: EACCES")
  expect(asChappeError(new TypeError("x")).code).toBe("internal")
})

test("the nearest word is offered only when it is near", () => {
  expect(nearest("inobx", ["inbox", "outbox"])).toBe("inbox")
  expect(nearest("qqqqqq", ["inbox", "outbox"])).toBeUndefined()
})
