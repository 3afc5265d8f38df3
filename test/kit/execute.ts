// Other programs, run to their end.

import { execFile } from "node:child_process"

export type Output = {
  /** Its exit code; -1 where it did not start or was killed. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const outputBytesMax = 64 * 1024 * 1024

export function execute(
  program: string,
  args: readonly string[],
  /** `timeout`: ms, then it is killed. */
  options: { readonly cwd?: string; readonly timeout?: number } = {},
): Promise<Output> {
  return new Promise((resolve) => {
    const all = { ...options, maxBuffer: outputBytesMax }
    execFile(program, args, all, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1
      resolve({ code, stdout, stderr })
    })
  })
}

export async function isMissing(program: string): Promise<boolean> {
  return (await execute("which", [program])).code !== 0
}
