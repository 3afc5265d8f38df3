// A kind of fault that the network must survive, as a command that anybody can repeat.

export type ChaosRun = {
  /** How many kills, seeds, cuts …: the size of this run. */
  readonly count: number
  readonly seed: number
  /** Tells a person how far it is. */
  readonly say: (line: string) => void
}

export type ChaosResult = {
  readonly passed: boolean
  /** What was counted and measured, by name with its unit. */
  readonly figures: Readonly<Record<string, number | string>>
}

export type Chaos = {
  readonly name: string
  /** What is done, and what must hold. */
  readonly says: string
  /** What `count` counts, in the plural. */
  readonly unit: string
  /** `brief`: part of `npm test`; `ci`: `npm run chaos -- NAME`; `long`: with `--long`. */
  readonly sizes: { readonly brief: number; readonly ci: number; readonly long: number }
  /** Why it cannot run on this machine; undefined where it can. */
  readonly unavailable: () => Promise<string | undefined>
  /** Its figures are of the machine's time: nothing else may run beside it. */
  readonly measures?: true
  readonly run: (run: ChaosRun) => Promise<ChaosResult>
}

export const availableEverywhere = (): Promise<undefined> => Promise.resolve(undefined)
