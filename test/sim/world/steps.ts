// The size of a run.

/** How long a seed's run is: most are short, so that many can be tried. */
export function stepsOf(seed: number): number {
  return seed % 20 === 0 ? 150 : 60
}
