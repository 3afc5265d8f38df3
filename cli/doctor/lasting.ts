// Things that end: keys and rosters.

import { limits } from "../../protocol/limits.ts"
import { cliLimits } from "../limits.ts"
import { type Check, bad, good, watch } from "./check.ts"

/** `end` and `now` in seconds since 1970. */
export function lastingCheck(about: string, end: number, now: number, next: string): Check {
  if (end === 0) return bad(about, "there is none that is valid", next)
  const days = Math.floor((end - now) / limits.secondsPerDay)
  if (end < now) return bad(about, `ended ${-days} days ago`, next)
  const says = `${days} days left`
  return days < cliLimits.warnDays ? watch(about, says, next) : good(about, says)
}

export function rosterCheck(number: number, expires: number, now: number): Check {
  const next = "the custodians sign the next one: chappe roster add, sign, publish"
  return lastingCheck(`roster ${number}`, expires, now, next)
}

export function officerCheck(officer: string, notAfter: number, now: number): Check {
  const next = `give a new key: chappe officer add ${officer.slice(officer.indexOf("/") + 1)}`
  return lastingCheck(`officer ${officer}`, notAfter, now, next)
}

export function rotateAdvice(dir: string): string {
  return `chappe keys rotate --node ${dir} --root ROOT.key`
}
