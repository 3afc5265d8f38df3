// What a command is. Help, man page and completion are made from these rows; parsing follows them.

import type { Invocation } from "./invocation.ts"
import type { World } from "./world.ts"

/** `value`: what stands in its place in help; an option without one is a switch. */
export type Option = {
  readonly name: string
  readonly value?: string
  /** May be given several times. */
  readonly many?: true
  readonly needed?: true
  readonly help: string
  /** What completion offers: fixed words, or files, or folders. */
  readonly offers?: readonly string[] | "files" | "folders"
}

export type Argument = {
  readonly name: string
  readonly optional?: true
  readonly many?: true
  readonly help: string
  readonly offers?: readonly string[] | "files" | "folders"
}

export type Example = { readonly line: string; readonly says: string }

/** 0 done; other outcomes are thrown as errors, whose table has the exit codes. */
export type Command = {
  /** One or two words. */
  readonly name: string
  /** A sentence without a full stop. */
  readonly help: string
  readonly arguments: readonly Argument[]
  readonly options: readonly Option[]
  readonly examples: readonly Example[]
  /** Returns the exit code where it is neither 0 nor an error's. */
  readonly run: (input: Invocation, world: World) => Promise<ExitCode | undefined>
}

export type ExitCode = 0 | 1 | 2 | 3

/** The codes that scripts meet most; `chappe help` explains them all in docs/PROTOCOL.md. */
export const exitCodes: readonly { readonly code: ExitCode; readonly says: string }[] = [
  { code: 0, says: "done" },
  {
    code: 1,
    says: "refused or failed; the error's code, a sentence and the next step are printed",
  },
  { code: 2, says: "the command was not of the documented form" },
  { code: 3, says: "a verification found tampering" },
]

/** Options that every command takes. */
export const commonOptions: readonly Option[] = [
  { name: "json", help: "one JSON object a line on stdout, everything else on stderr" },
  { name: "help", help: "this command's help" },
]
