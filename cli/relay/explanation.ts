// Why a member's mail is not delivered, in one paragraph for people, and what to do next. Pure: facts in, words
// out.

import type {
  ElsewhereFacts,
  LaneFacts,
  MemberFacts,
  PeerFacts,
} from "../../relay/operator-facts.ts"
import { limits } from "../../protocol/limits.ts"
import { formatDuration } from "../duration.ts"
import { cliLimits } from "../limits.ts"

export type Explanation = { readonly says: string; readonly next: string }

type Finding = { readonly says: string; readonly next?: string }

export function explain(facts: MemberFacts): Explanation {
  const findings = [...ownFindings(facts), ...hereFindings(facts), ...elsewhereFindings(facts)]
  const says = findings.map((finding) => finding.says).join(" ")
  const next = findings.find((finding) => finding.next !== undefined)?.next
  return { says, next: next ?? "nothing: it goes on by itself" }
}

/** What stops the whole relay comes first. */
function ownFindings({ own, status, member, homes }: MemberFacts): readonly Finding[] {
  const { relay, clock, disk } = own
  const found: Finding[] = []
  if (clock.isOff)
    found.push({
      says: `${relay}'s own clock is ${formatDuration(Math.abs(clock.offsetSeconds))} off network time: it takes and logs nothing until that is mended.`,
      next: "set this machine's clock (NTP); held work goes on by itself",
    })
  if (!clock.isOff && !clock.isAgreed)
    found.push({
      says: `Too few of its peers agree with ${relay}'s clock: it takes and logs nothing until it is known who is right.`,
      next: "compare this machine's clock with another source (NTP), and the members' (`chappe relay status`)",
    })
  if (clock.logWaitsSeconds !== null)
    found.push({
      says: `${relay}'s logs hold entries that are ahead of network time: they take no other for ${formatDuration(clock.logWaitsSeconds)}.`,
      next: 'wait, or begin new logs: docs/operator.md, "The clock is off"',
    })
  if (disk.isFull)
    found.push({
      says: `${relay}'s disk is full: it refuses new mail and delivers what it has.`,
      next: "make room on this machine's disk",
    })
  if (status !== "active")
    found.push({
      says: `The roster has ${member.name} as ${status}: nothing new is taken for it, and senders are told so.`,
      next: "ask the custodians, if it should be active",
    })
  if (status === "active" && homes.length === 0)
    found.push({
      says: `${member.name} has no home that is active in the roster: senders are told \`no-relay\`.`,
      next: `${member.name} names its relays anew with its root key`,
    })
  return found
}

function hereFindings({ own, member, elsewhere, asideItems }: MemberFacts): readonly Finding[] {
  const { name, linked } = member
  const mail = member.lanes.filter(({ items }) => items > 0)
  const link = linkText(member, own.upSeconds)
  const aside = asideItems === 0 ? [] : [asideFinding(member, asideItems)]
  if (mail.length > 0) {
    const waiting = mail.map(laneText).join(" and ")
    const says = `${waiting} for ${name} at ${own.relay}. ${link}${stateText(member, mail)}`
    const next = stateAdvice(member, mail)
    return [{ says, ...(next !== undefined && { next }) }, ...aside]
  }
  if (aside.length > 0 || elsewhere.length > 0) return aside
  const next = linked
    ? "if a message is missing, ask its sender for `chappe trace ID`: it may be at another relay"
    : callAdvice(member)
  return [{ says: `Nothing waits for ${name} at ${own.relay}. ${link}`, next }]
}

function laneText({ lane, items, oldestSeconds }: LaneFacts): string {
  const what =
    lane === "evidence"
      ? `receipt${items === 1 ? "" : "s"}`
      : `${lane} message${items === 1 ? "" : "s"}`
  const since = oldestSeconds === null ? "" : `, the oldest for ${formatDuration(oldestSeconds)},`
  return `${items} ${what}${since} wait${items === 1 ? "s" : ""}`
}

/** Whether the peer is linked, and since when. */
function linkText({ name, linked, seconds, refusedLink }: PeerFacts, upSeconds: number): string {
  if (linked) return `It is linked, for ${formatDuration(seconds ?? 0)}.`
  const since =
    seconds === null
      ? `It has not been linked since this relay started, ${formatDuration(upSeconds)} ago.`
      : `It has not been linked for ${formatDuration(seconds)}.`
  if (refusedLink === null) return since
  const { code, sentence, secondsAgo } = refusedLink
  return `${since} ${name} tried ${formatDuration(secondsAgo)} ago and the link was not made: ${sentence} (\`${code}\`).`
}

/** What a linked peer does with it. */
function stateText(member: PeerFacts, mail: readonly LaneFacts[]): string {
  if (!member.linked) return ""
  const error = mail.find(({ lastError }) => lastError !== null)?.lastError
  if (error !== undefined && error !== null)
    return ` It answers \`${error.code}\`, ${formatDuration(error.secondsAgo)} ago the last time: ${error.sentence}.`
  const skew = skewOf(member)
  if (skew !== undefined) return ` ${skew}`
  return mail.some(({ handedOver }) => handedOver)
    ? " It has taken the oldest, and its signed receipt is waited for."
    : " It is being sent now."
}

function skewOf({ name, skewSeconds }: PeerFacts): string | undefined {
  if (skewSeconds === null || Math.abs(skewSeconds) <= limits.clockSkewSecondsMax) return undefined
  const way = skewSeconds > 0 ? "ahead of" : "behind"
  return `${name}'s clock is ${formatDuration(Math.abs(skewSeconds))} ${way} ours: it holds everything until that is mended.`
}

function stateAdvice(member: PeerFacts, mail: readonly LaneFacts[]): string | undefined {
  if (!member.linked) return callAdvice(member)
  const error = mail.find(({ lastError }) => lastError !== null)?.lastError
  if (error !== undefined && error !== null) return `tell ${member.name}: ${error.next}`
  if (skewOf(member) !== undefined)
    return `tell ${member.name}'s operator to set that machine's clock`
  const isSlow = mail.some(
    ({ handedOver, oldestSeconds }) =>
      handedOver && (oldestSeconds ?? 0) > cliLimits.slowReceiptSeconds,
  )
  return isSlow
    ? `ask ${member.name}'s operator for \`chappe doctor\`: is its clock or its disk the reason?`
    : undefined
}

function callAdvice({ name, refusedLink }: PeerFacts): string {
  if (refusedLink !== null) return `tell ${name}'s operator: ${refusedLink.next}`
  return `call ${name}: its node or its network is down; mail is kept until it expires`
}

function asideFinding({ name, setAside }: PeerFacts, items: number): Finding {
  const what = `${items} message${items === 1 ? " was" : "s were"} set aside because ${name} refused ${items === 1 ? "it" : "them"}`
  if (setAside === null)
    return {
      says: `${what}; senders were told.`,
      next: `ask the sender for \`chappe trace ID\`: it names the code`,
    }
  const { code, sentence, next, secondsAgo } = setAside
  return {
    says: `${what}, the last ${formatDuration(secondsAgo)} ago with \`${code}\`: ${sentence}. Senders were told.`,
    next,
  }
}

function elsewhereFindings({ own, member, elsewhere }: MemberFacts): readonly Finding[] {
  return elsewhere.map((one): Finding => {
    const { relay, state, items } = one
    const count = `${items} message${items === 1 ? "" : "s"} for ${member.name}`
    const age =
      one.oldestSeconds === null ? "" : `, the oldest for ${formatDuration(one.oldestSeconds)}`
    if (state === "custody")
      return {
        says: `${count} ${items === 1 ? "is" : "are"} in the custody of ${relay.name}${age}; ${own.relay} keeps its copy until it hears of the delivery.`,
        next: `ask the operator of ${relay.name} for \`chappe relay why ${member.name}\` there`,
      }
    return {
      says: `${count} wait${items === 1 ? "s" : ""} for ${relay.name}${age}. ${linkText(relay, own.upSeconds)}${forwardState(one)}`,
      next: forwardAdvice(one),
    }
  })
}

function forwardState({ relay }: ElsewhereFacts): string {
  const error = relay.lanes.find(({ lastError }) => lastError !== null)?.lastError
  if (!relay.linked || error === undefined || error === null) return ""
  return ` It answers \`${error.code}\`: ${error.sentence}.`
}

function forwardAdvice({ relay }: ElsewhereFacts): string {
  const error = relay.lanes.find(({ lastError }) => lastError !== null)?.lastError
  if (relay.linked && error !== undefined && error !== null)
    return `tell the operator of ${relay.name}: ${error.next}`
  return relay.linked
    ? "nothing: it is being forwarded now"
    : `call the operator of ${relay.name}; as soon as another home can be reached, it goes there by itself`
}
