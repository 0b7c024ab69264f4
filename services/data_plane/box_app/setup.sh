# Sets this box up for the run9 AI Gateway: every known client, this shell and later ones.
#
#   eval "$(curl -fsS http://10.0.2.2:1000/run9/ai/setup.sh)"
#
# Read it first, or take it back; neither touches this shell:
#
#   curl -fsS http://10.0.2.2:1000/run9/ai/setup.sh | sh -s -- --print     what would be set, and where
#   curl -fsS http://10.0.2.2:1000/run9/ai/setup.sh | sh -s -- --undo      takes everything out again
#
# Plain POSIX sh. What is already set stays as it is; running it again changes nothing. It needs no right
# beyond the home folder. The key is a placeholder: the real one never enters the box.

run9_origin='http://10.0.2.2:1000'

run9_print_environment() {
  cat <<RUN9_END
# Written by the run9 AI Gateway's setup.sh. Values that are already set win.
@environment@
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

@set_up_functions@
# Takes out of the start files and of clients' own files what this script has put there, and nothing else.
run9_undo() {
  for run9_file in .profile .bashrc .bash_profile .bash_login .zshrc; do
    if [ -f "${HOME}/${run9_file}" ]; then
      # shellcheck disable=SC2016 # the line stands there unexpanded
      run9_without "${HOME}/${run9_file}" '/^if \[ -f "\${HOME}\/\.config\/run9\/ai\.sh" \]; then/d' || return 1
    fi
  done
  rm -f "${HOME}/.config/run9/ai.sh" || return 1
@undo_calls@
  printf '%s\n' 'run9: taken out of the start files. A shell that has the variables keeps them: open a new one.' >&2
}

# Rewrites a file through itself, so that its owner, mode and links stay.
run9_without() {
  run9_new="$1.run9.$$"
  if sed -e "$2" "$1" >"${run9_new}" && cat "${run9_new}" >"$1"; then
    rm -f "${run9_new}"
  else
    rm -f "${run9_new}"
    return 1
  fi
}

run9_print() {
  run9_print_environment
@print_calls@
  printf '%s\n' "# The variables go to ${HOME-}/.config/run9/ai.sh, which the shells' start files then read."
}

run9_tell() {
@tell@
  case $- in
    *i*) ;;
    *s*)
      # Read from a pipe: the variables end with this process, so the shell that the person looks at has none of them.
      printf '%s\n' "run9: later shells are set up, this one is not. For this one: eval \"\$(curl -fsS ${run9_origin}/run9/ai/setup.sh)\"" >&2
      return
      ;;
  esac
  printf '%s\n' "run9: this shell and later ones are set up. What your organization has switched on: curl ${run9_origin}/run9/ai/" >&2
}

case "${1-}" in
  --print) run9_print ;;
  --undo) (umask 077 && run9_undo) || printf '%s\n' 'run9: not everything could be taken out.' >&2 ;;
  *)
    eval "$(run9_print_environment)"
    if [ -n "${HOME-}" ]; then
      # In a subshell: this script may run inside the user's own shell, whose settings it must not change.
      (umask 077 && run9_write_environment@set_up_calls@) ||
        printf '%s\n' 'run9: the start files could not all be written; this shell alone is set up.' >&2
    fi
    run9_tell
    ;;
esac
unset -f run9_print_environment run9_write_environment run9_hook_into run9_tell@set_up_names@
unset -f run9_undo run9_without run9_print
unset run9_origin
