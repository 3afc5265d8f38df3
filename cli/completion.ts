// Shell completion from the command table: one generic script a shell, with the words in it.

import { type Argument, type Command, type Option, commonOptions } from "./command.ts"

export const shells = ["bash", "zsh", "fish"] as const
export type Shell = (typeof shells)[number]

export function completionScript(shell: Shell, commands: readonly Command[]): string {
  switch (shell) {
    case "bash":
      return bash(commands)
    case "zsh":
      // zsh runs bash completions by its own adapter.
      return `#compdef chappe\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`
    case "fish":
      return fish(commands)
  }
}

function firstWords(commands: readonly Command[]): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))]
}

function secondWords(commands: readonly Command[], first: string): readonly string[] {
  return commands.flatMap(({ name }) => {
    const [one, two] = name.split(" ")
    return one === first && two !== undefined ? [two] : []
  })
}

function offersOf(item: Pick<Option | Argument, "offers">): string {
  if (item.offers === "files") return `compgen -f -- "$word"`
  if (item.offers === "folders") return `compgen -d -- "$word"`
  return item.offers === undefined ? "" : `compgen -W "${item.offers.join(" ")}" -- "$word"`
}

function bash(commands: readonly Command[]): string {
  const lines = [
    "_chappe() {",
    '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
    '  local command="${COMP_WORDS[1]}"',
    "  COMPREPLY=()",
    `  if [ "$COMP_CWORD" -eq 1 ]; then`,
    `    COMPREPLY=($(compgen -W "${firstWords(commands).join(" ")}" -- "$word")); return`,
    "  fi",
    '  case "$command" in',
  ]
  for (const first of firstWords(commands)) {
    const second = secondWords(commands, first)
    if (second.length === 0) continue
    lines.push(
      `  ${first})`,
      `    if [ "$COMP_CWORD" -eq 2 ]; then`,
      `      COMPREPLY=($(compgen -W "${second.join(" ")}" -- "$word")); return`,
      "    fi",
      `    command="${first} \${COMP_WORDS[2]}" ;;`,
    )
  }
  lines.push("  esac", '  case "$command" in')
  for (const command of commands) lines.push(...bashCommand(command))
  lines.push("  esac", "}", "complete -o filenames -F _chappe chappe", "")
  return lines.join("\n")
}

function bashCommand(command: Command): readonly string[] {
  const options = [...command.options, ...commonOptions]
  const lines = [`  "${command.name}")`, '    case "$before" in']
  for (const option of options) {
    const offers = offersOf(option)
    if (option.value === undefined) continue
    const reply = offers === "" ? "" : `COMPREPLY=($(${offers})); `
    lines.push(`    --${option.name}) ${reply}return ;;`)
  }
  const names = options.map(({ name }) => `--${name}`).join(" ")
  const argument = command.arguments.map(offersOf).find((offers) => offers !== "")
  const plain = argument === undefined ? "" : `; [[ $word != -* ]] && COMPREPLY=($(${argument}))`
  lines.push("    esac", `    COMPREPLY=($(compgen -W "${names}" -- "$word"))${plain} ;;`)
  return lines
}

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`

function fish(commands: readonly Command[]): string {
  const firsts = firstWords(commands)
  const lines = ["complete -c chappe -f"]
  for (const first of firsts) {
    const own = commands.find(({ name }) => name === first)
    const help = own?.help ?? `${first}: ${secondWords(commands, first).join(", ")}`
    lines.push(`complete -c chappe -n __fish_use_subcommand -a ${first} -d ${quoted(help)}`)
  }
  for (const command of commands) lines.push(...fishCommand(command))
  return `${lines.join("\n")}\n`
}

function fishCommand(command: Command): readonly string[] {
  const [first = "", second] = command.name.split(" ")
  const lines: string[] = []
  let seen = `__fish_seen_subcommand_from ${first}`
  if (second !== undefined) {
    lines.push(`complete -c chappe -n '${seen}' -a ${second} -d ${quoted(command.help)}`)
    seen += `; and __fish_seen_subcommand_from ${second}`
  }
  for (const option of [...command.options, ...commonOptions]) {
    const value = option.value === undefined ? "" : " -r"
    const files = option.offers === "files" || option.offers === "folders" ? " -F" : ""
    const words = Array.isArray(option.offers) ? ` -a '${option.offers.join(" ")}'` : ""
    const help = ` -d ${quoted(option.help)}`
    lines.push(`complete -c chappe -n '${seen}' -l ${option.name}${value}${files}${words}${help}`)
  }
  return lines
}
