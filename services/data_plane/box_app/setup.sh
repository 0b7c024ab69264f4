# Sets this box up for the run9 AI Gateway: every known client, this shell and later ones.
#
#   curl -fsS http://10.0.2.2:1000/run9/ai/setup.sh | sh              later shells, Codex
#   eval "$(curl -fsS http://10.0.2.2:1000/run9/ai/setup.sh)"         the same, and this shell
#
# Plain POSIX sh. What is already set stays as it is; running it again changes nothing. It needs no right
# beyond the home folder. The key is a placeholder: the real one never enters the box.

run9_origin='http://10.0.2.2:1000'

run9_print_environment() {
  cat <<RUN9_END
# Written by the run9 AI Gateway's setup.sh. Values that are already set win.
: "\${OPENAI_BASE_URL:=${run9_origin}/run9/ai/openai/v1/}"
: "\${OPENAI_API_KEY:=run9-placeholder}"
: "\${ANTHROPIC_BASE_URL:=${run9_origin}/run9/ai/anthropic}"
: "\${ANTHROPIC_AUTH_TOKEN:=run9-placeholder}"
: "\${ANTHROPIC_API_KEY:=run9-placeholder}"
: "\${ENABLE_TOOL_SEARCH:=true}"
export OPENAI_BASE_URL OPENAI_API_KEY ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN ANTHROPIC_API_KEY ENABLE_TOOL_SEARCH
RUN9_END
}

# Writes the variables for later shells, and has the shells' own start files read them.
run9_write_environment() {
  mkdir -p "${HOME}/.config/run9" || return 1
  run9_print_environment >"${HOME}/.config/run9/ai.sh" || return 1
  run9_hook_into "${HOME}/.profile" || return 1
  run9_hook_into "${HOME}/.bashrc" || return 1
  # A login bash reads the first of these that exists instead of .profile.
  for run9_file in .bash_profile .bash_login .zshrc; do
    if [ -f "${HOME}/${run9_file}" ]; then run9_hook_into "${HOME}/${run9_file}" || return 1; fi
  done
  if [ ! -f "${HOME}/.zshrc" ] && command -v zsh >/dev/null 2>&1; then
    run9_hook_into "${HOME}/.zshrc" || return 1
  fi
}

run9_hook_into() {
  if [ -f "$1" ] && grep -qF '.config/run9/ai.sh' "$1"; then return 0; fi
  # shellcheck disable=SC2016 # the start file itself expands HOME
  printf '\n%s\n' 'if [ -f "${HOME}/.config/run9/ai.sh" ]; then . "${HOME}/.config/run9/ai.sh"; fi' >>"$1"
}

# Codex does not read OPENAI_BASE_URL; its key has to stand above the first table of its TOML file.
run9_write_codex() {
  run9_codex="${CODEX_HOME:-${HOME}/.codex}"
  mkdir -p "${run9_codex}" || return 1
  run9_file="${run9_codex}/config.toml"
  if [ ! -e "${run9_file}" ]; then : >"${run9_file}" || return 1; fi
  run9_has=$(sed -n -e '/^[[:space:]]*\[/q' -e '/^[[:space:]]*["'\'']\{0,1\}openai_base_url["'\'']\{0,1\}[[:space:]]*=/p' "${run9_file}") || return 1
  if [ -n "${run9_has}" ]; then return 0; fi
  run9_new="${run9_file}.run9.$$"
  {
    printf 'openai_base_url = "%s"\n' "${run9_origin}/run9/ai/openai/v1"
    cat "${run9_file}"
  } >"${run9_new}" || { rm -f "${run9_new}"; return 1; }
  # Through the old file, so that its owner, mode and links stay.
  cat "${run9_new}" >"${run9_file}" || return 1
  rm -f "${run9_new}"
}

run9_tell() {
  case "${OPENAI_BASE_URL-}" in
    "${run9_origin}"/*) ;;
    *) printf '%s\n' "run9: OPENAI_BASE_URL was set before and stays: ${OPENAI_BASE_URL-}" >&2 ;;
  esac
  case "${ANTHROPIC_BASE_URL-}" in
    "${run9_origin}"/*) ;;
    *) printf '%s\n' "run9: ANTHROPIC_BASE_URL was set before and stays: ${ANTHROPIC_BASE_URL-}" >&2 ;;
  esac
  printf '%s\n' "run9: ready. See what your organization has switched on: curl ${run9_origin}/run9/ai/" >&2
}

eval "$(run9_print_environment)"
if [ -n "${HOME-}" ]; then
  # In a subshell: this script may run inside the user's own shell, whose settings it must not change.
  (umask 077 && run9_write_environment && run9_write_codex) ||
    printf '%s\n' 'run9: the start files could not all be written; this shell alone is set up.' >&2
fi
run9_tell
unset -f run9_print_environment run9_write_environment run9_hook_into run9_write_codex run9_tell
unset run9_origin
