// The simulated federation, seed after seed. A seed that fails is run again: it must fail the same way.

import { simulate } from "../sim/world/simulate.ts"
import { stepsOf } from "../sim/world/steps.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

export const sim: Chaos = {
  name: "sim",
  says: "whole federations on virtual time from one seed each: crashes at any call of a port, failing and flipped disks, broken networks, wrong clocks: 0 violations, and the same seed gives the same digest",
  unit: "seeds",
  sizes: { brief: 12, ci: 300, long: 20_000 },
  unavailable: availableEverywhere,
  async run({ count, seed: first, say }) {
    let violations = 0
    let undetermined = 0
    let messages = 0
    let virtualSeconds = 0
    let slowest = 0
    for (let seed = first; seed < first + count; seed++) {
      const outcome = await simulate(seed, stepsOf(seed))
      messages += outcome.messages
      virtualSeconds += outcome.virtualSeconds
      slowest = Math.max(slowest, outcome.settledSeconds)
      const isChosen = outcome.violation !== undefined || seed === first
      if (isChosen && (await simulate(seed, stepsOf(seed))).digest !== outcome.digest) {
        undetermined += 1
        say(`seed ${seed} does not repeat itself`)
      }
      if (outcome.violation !== undefined) {
        violations += 1
        say(`seed ${seed}: ${outcome.violation} (npm run sim -- --seed ${seed})`)
      }
      if ((seed - first) % 100 === 99) say(`${seed - first + 1} seeds`)
    }
    return {
      passed: violations === 0 && undetermined === 0,
      figures: {
        seeds: count,
        violations,
        undetermined,
        messages,
        virtual_hours: (virtualSeconds / 3_600).toFixed(1),
        slowest_settle_s: slowest,
      },
    }
  },
}
